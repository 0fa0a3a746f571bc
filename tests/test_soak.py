"""The soak prints a seed before what is tried with it, so that a failure can be repeated."""

import pytest

from tests import soak


def test_the_seed_of_a_failure_is_the_last_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_at_6(seed: int) -> str:
        assert seed != 6
        return "fine"

    monkeypatch.setattr(soak, "TRIALS", (fails_at_6,))
    with pytest.raises(AssertionError):
        soak.soak(seed=5, minutes=1, trials=9)
    assert capsys.readouterr().out == "first seed: 5\nfails_at_6 5: fine\nfails_at_6 6: "


def test_every_night_has_its_own_seeds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []

    def note(seed: int) -> str:
        seeds.append(seed)
        return "noted"

    monkeypatch.setattr(soak, "TRIALS", (note,))
    for _ in range(2):
        soak.soak(seed=None, minutes=1, trials=2)
    assert len(set(seeds)) == 4
    assert seeds[1] == seeds[0] + 1
    assert capsys.readouterr().out.count("2 seeds, nothing found") == 2


@pytest.mark.parametrize("trial", soak.TRIALS, ids=lambda trial: trial.__name__)
def test_what_is_tried(trial: soak.Trial) -> None:
    """One of each, with the seed that the suite uses."""
    assert trial(3)
