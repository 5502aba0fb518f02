"""Where a stack's own servers answer, and whom they know: the same for every way of starting them."""

from stack.endpoints import Endpoints
from stack.folder import StackFolder
from stack.ports import HOST, choose_ports

USER = DATABASE = "orders"


def choose_addresses(folder: StackFolder) -> tuple[dict[str, int], Endpoints]:
    """Chooses the stack's ports and its database's password, and keeps them in its folder, for the next start.

    Returns:
        The ports by name, and the endpoints on them.
    """
    ports = choose_ports(folder.read_ports())
    folder.write_ports(ports)
    endpoints = Endpoints(
        kafka_bootstrap_servers=f"{HOST}:{ports['kafka']}",
        temporal_host=f"{HOST}:{ports['temporal']}",
        temporal_ui_url=f"http://{HOST}:{ports['temporal_ui']}",
        db_host=HOST,
        db_port=ports["postgres"],
        db_user=USER,
        db_password=folder.password(),
        db_name=DATABASE,
    )
    return ports, endpoints
