"""What a sender has packed is unfolded within a bound of memory (I11), by each codec that Kafka has."""

import gzip
import subprocess
import sys
from collections.abc import Callable

import pytest
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import UnsupportedCodecError
from hypothesis import given
from hypothesis import strategies as st

from bridge.kafka.unfolding import UnfoldsTooLargeError, unfold

Fold = Callable[[bytes], bytes]


def snappy_without_framing(plain: bytes) -> bytes:
    return bytes(snappy_encode(plain, xerial_compatible=False))


CODECS: list[tuple[int, Fold]] = [
    (1, gzip_encode),
    (1, lambda plain: gzip.compress(plain[:7]) + gzip.compress(plain[7:])),
    (2, snappy_encode),
    (2, snappy_without_framing),
    (3, lz4_encode),
    (4, zstd_encode),
]
IDS = ["gzip", "gzip of two members", "snappy", "snappy without framing", "lz4", "zstd"]


@pytest.mark.parametrize(("compression", "fold"), CODECS, ids=IDS)
@given(plain=st.binary(max_size=300) | st.integers(1, 400_000).map(lambda size: b"ab" * size))
def test_what_is_within_the_bound_is_unfolded_whole_and_what_is_beyond_it_not_at_all(
    compression: int, fold: Fold, plain: bytes
) -> None:
    folded = fold(plain)
    assert unfold(compression, folded, len(plain)) == plain
    if plain:
        with pytest.raises(UnfoldsTooLargeError):
            unfold(compression, folded, len(plain) - 1)


@pytest.mark.parametrize(("compression", "fold"), CODECS, ids=IDS)
@given(cut=st.integers(1, 60))
def test_what_is_cut_off_is_no_matter_of_the_bound(compression: int, fold: Fold, cut: int) -> None:
    folded = fold(bytes(range(256)) * 4)
    with pytest.raises(Exception) as raised:  # noqa: PT011 -- each codec raises another
        unfold(compression, folded[:-cut], 1 << 20)
    assert not isinstance(raised.value, UnfoldsTooLargeError)


def test_an_unknown_codec_is_not_the_sender_s_fault() -> None:
    with pytest.raises(UnsupportedCodecError):
        unfold(6, b"?", 1)


_BOMB = """
import resource, sys, zlib
import cramjam
from bridge.kafka.unfolding import UnfoldsTooLargeError, unfold

MIB, compression = 1 << 20, int(sys.argv[1])
if compression == 1:
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join([packer.compress(bytes(MIB)) for _ in range(400)] + [packer.flush()])
elif compression == 2:
    block = bytes(cramjam.snappy.compress_raw(bytes(MIB)))
    bomb = b"\\x82SNAPPY\\0" + bytes(8) + (len(block).to_bytes(4, "big") + block) * 400
else:
    packer = (cramjam.lz4 if compression == 3 else cramjam.zstd).Compressor()
    for _ in range(400):
        packer.compress(bytes(MIB))
    bomb = bytes(packer.finish())
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 128 * MIB,) * 2)
try:
    unfold(compression, bomb, 16 * MIB)
except UnfoldsTooLargeError:
    print("refused")
"""


@pytest.mark.parametrize("compression", [1, 2, 3, 4])
def test_a_bomb_is_refused_in_a_process_that_has_not_the_memory_for_it(compression: int) -> None:
    """400 MiB in some KiB, where 128 MiB are left. The codecs themselves abort the process there."""
    run = subprocess.run(
        [sys.executable, "-c", _BOMB, str(compression)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.stdout.strip(), run.returncode) == ("refused", 0), run.stderr
