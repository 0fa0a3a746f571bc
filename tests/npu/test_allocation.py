import numpy as np
import pytest

from npu.allocation import Request, allocate

pytestmark = pytest.mark.quick


def random_requests(seed: int) -> list[Request]:
    rng = np.random.default_rng(seed)
    requests = []
    for key in range(int(rng.integers(1, 40))):
        first = int(rng.integers(0, 20))
        last = first + int(rng.integers(0, 6))
        requests.append(Request(key, int(rng.integers(1, 100)), first, last))
    return requests


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("alignment", [1, 16])
def test_requests_alive_together_never_overlap(seed: int, alignment: int) -> None:
    requests = random_requests(seed)
    addresses, used = allocate(requests, alignment)
    for request in requests:
        assert addresses[request.key] % alignment == 0
        assert 0 <= addresses[request.key] <= used - request.size
    for a in requests:
        for b in requests:
            if a.key != b.key and a.first <= b.last and b.first <= a.last:
                disjoint = (
                    addresses[a.key] + a.size <= addresses[b.key]
                    or addresses[b.key] + b.size <= addresses[a.key]
                )
                assert disjoint, f"seed {seed}: {a} and {b} overlap"


def test_memory_is_reused_over_time() -> None:
    requests = [Request(i, 10, i, i + 1) for i in range(10)]
    assert allocate(requests)[1] == 20


def test_same_requests_same_addresses() -> None:
    assert allocate(random_requests(3)) == allocate(random_requests(3))


def test_nothing_to_allocate() -> None:
    assert allocate([]) == ({}, 0)
