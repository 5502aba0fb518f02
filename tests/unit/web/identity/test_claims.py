"""What a provider's claims say: roles by any claim and any names, and whom they are about."""

from typing import Any

import pytest

from orders.roles import Role
from orders.settings.identity import IdentitySettings
from orders.web.identity.claims import role_of, vouched
from orders.web.identity.tokens import identity_of


def settings(**values: Any) -> IdentitySettings:
    return IdentitySettings(**values)


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({}, None),
        ({"roles": None}, None),
        ({"roles": []}, None),
        ({"roles": ["somebody"]}, None),
        ({"roles": "viewer"}, Role.VIEWER),
        ({"roles": "other approver"}, Role.APPROVER),
        ({"roles": ["viewer", "operator", "approver"]}, Role.OPERATOR),
        ({"roles": [["operator"], {"operator": 1}, 7, None]}, None),
        ({"roles": {"operator": True}}, None),
        ({"roles": 3}, None),
        ({"roles": ["Operator"]}, None),
    ],
)
def test_the_highest_role_counts_and_what_is_no_role_does_not(claims: dict[str, Any], role: Role | None) -> None:
    assert role_of(claims, settings()) is role


def test_roles_may_stand_deeper_and_have_other_names() -> None:
    keycloak = settings(oidc_roles_claim="realm_access.roles", oidc_role_names="order approvers=approver, ops=operator")
    assert role_of({"realm_access": {"roles": ["offline_access", "order approvers"]}}, keycloak) is Role.APPROVER
    assert role_of({"realm_access": {"roles": ["operator"]}}, keycloak) is None, "their name is ops"
    assert role_of({"realm_access": ["ops"]}, keycloak) is None


def test_a_claim_whose_whole_name_has_dots_is_found_by_it() -> None:
    auth0 = settings(oidc_roles_claim="https://orders.example/roles")
    assert role_of({"https://orders.example/roles": ["viewer"]}, auth0) is Role.VIEWER


@pytest.mark.parametrize("subject", [None, "", 7, "x" * 256, "a\nb", "a\u202eb", ["anna"], "a\x00"])
def test_nobody_is_vouched_for_without_a_subject_that_can_be_one(subject: object) -> None:
    assert vouched({"sub": subject}, settings()) is None


@pytest.mark.parametrize("name", [None, "", " anna", "anna\n", "an\u202ena", "x" * 200, ["anna"], 7])
def test_a_name_that_no_journal_can_have_is_passed_over_for_the_subject(name: object) -> None:
    who = vouched({"sub": "a-1", "email": name}, settings(oidc_name_claim="email"))
    assert who is not None
    assert who.name == "a-1"


def test_a_person_is_named_by_a_claim_and_told_apart_by_the_subject() -> None:
    by_mail = settings(oidc_name_claim="email")
    anna = vouched({"sub": "a-1", "email": "Anna Müller", "roles": ["approver"]}, by_mail)
    other = vouched({"sub": "b-2", "email": "Anna Müller"}, by_mail)
    assert anna is not None
    assert other is not None
    assert anna.name == other.name == "Anna Müller"
    assert anna.caller_id != other.caller_id
    assert identity_of(anna).roles == {Role.VIEWER, Role.APPROVER}
    assert identity_of(other).roles == frozenset()
    assert identity_of(other).role is None
