"""Arms side by side: names, limits, what is told, scores."""

from dataclasses import replace

import numpy as np
import pytest

from rims_rl.comparison.comparison import LAST, compare
from rims_rl.comparison.games import atari_game, frames_per_step, references, table7
from rims_rl.comparison.naming import short_games
from rims_rl.comparison.summary import summarise
from rims_rl.comparison.text import as_text, rows
from rims_rl.training.results import WINDOWS
from tests.comparison.records import TOTAL, record

PONG = "PongNoFrameskip-v4"
FEW = (
    "few seeds: {} has less than 4 in CartPole-v1; its interval there is hardly more than their "
    "range, and covers much less than 95%"
)


def test_cores_are_named_by_what_tells_them_apart():
    labels = ["lstm-h120-separate", "rim-k6-4-h120-separate"]
    assert compare(map(record, labels)).cores == ["lstm", "rim-k6-4"]
    labels = ["lstm-h64", "rim-k6-4-h66", "rim-k6-5-h66"]
    assert compare(map(record, labels)).cores == ["lstm", "rim-k6-4", "rim-k6-5"]
    labels = ["rim-k6-4-h10-comm_gate_bias=-2.0", "rim-k6-4-h10-comm_gate_bias=-1.0"]
    assert compare(map(record, labels)).cores == [
        "rim-comm_gate_bias=-1.0", "rim-comm_gate_bias=-2.0"
    ]  # fmt: skip
    labels = ["lstm-h64", "lstm-h128"]
    assert compare(map(record, labels)).cores == ["lstm-h128", "lstm-h64"]


def test_a_core_has_one_name_in_all_games():
    """Though what its cores share differs from game to game."""
    labels = ["lstm-h120", "rim-k6-4-h120"]
    runs = [record(label, env=env) for label in labels for env in ("A-v0", "B-v0")]
    others = ["rim-k6-4-h120-variant=hard", "gru-h120"]
    found = compare([*runs, *(record(label, env="A-v0") for label in others)])
    assert set(found.arms) == {
        ("A-v0", "gru"), ("A-v0", "lstm"), ("A-v0", "rim-k6-4"), ("A-v0", "rim-k6-4-variant=hard"),
        ("B-v0", "lstm"), ("B-v0", "rim-k6-4"),
    }  # fmt: skip
    rims = [run for run in runs if run.label.startswith("rim")]
    shared = record("rim-k6-4-h120-variant=hard", env="A-v0")
    assert set(compare([*rims, shared], "rim").arms) == {
        ("A-v0", "rim-k6-4"), ("A-v0", "rim-variant=hard"), ("B-v0", "rim-k6-4")
    }  # fmt: skip
    wider = record("lstm-h240", env="A-v0")
    assert set(compare([*runs, wider]).cores) == {"lstm-h120", "lstm-h240", "rim-k6-4-h120"}


def test_a_setting_in_a_name_is_there_in_all_games():
    slow = {"core": "lstm", "learning_rate": 1e-4, "seed": 0}
    runs = [record(env=env) for env in ("A-v0", "B-v0")]
    found = compare([*runs, record(env="A-v0", settings=slow)])
    fast = "lstm (learning_rate 0.001)"
    assert set(found.arms) == {
        ("A-v0", fast), ("A-v0", "lstm (learning_rate 0.0001)"), ("B-v0", fast)
    }  # fmt: skip


def test_a_length_is_in_the_names_of_the_game_alone_that_has_several():
    runs = [record(env="A-v0"), record(env="B-v0"), record(env="B-v0", total=2000.0)]
    assert set(compare(runs).arms) == {
        ("A-v0", "lstm"), ("B-v0", "lstm (total_timesteps 1,000)"),
        ("B-v0", "lstm (total_timesteps 2,000)"),
    }  # fmt: skip


def test_windows_include_their_end_and_the_last_ones_are_the_end():
    run = record(steps=np.array([25.0, 25.0, 26.0, 1000.0]), returns=np.array([1.0, 3.0, 7.0, 9.0]))
    (arm,) = compare([run]).arms.values()
    assert arm.curve.x[0] == TOTAL / WINDOWS
    np.testing.assert_array_equal(arm.curve.values[0, :2], [2.0, 7.0])
    assert set(arm.curve.values[0, 2:-1]) == {7.0}  # nothing ended: as before
    assert arm.final == [9.0]
    late = TOTAL * (1 - LAST / WINDOWS)
    run = record(steps=np.array([late, late + 1, TOTAL]), returns=np.array([1.0, 3.0, 5.0]))
    (arm,) = compare([run]).arms.values()
    assert arm.final == [4.0]
    assert arm.best == [5.0]


def test_steps_to_a_return_and_speed():
    (arm,) = compare([record(), record(seed=1, level=10.0)]).arms.values()
    first, second = arm.steps_to(50.0)
    assert first == pytest.approx(275.0)
    assert second is None
    assert arm.speed == pytest.approx(1.0)
    assert arm.area[0] == pytest.approx(75.0, abs=2)


def problems(*records):
    """All but those of single seeds, which nearly all runs of these tests are."""
    return [line for line in compare(records).problems if not line.startswith("no interval")]


def test_single_seeds_are_told():
    runs = [record(), record(seed=1), record("gru-h8"), record("gru-h8", env="Other-v0")]
    single = [line for line in compare(runs).problems if line.startswith("no interval")]
    assert single == ["no interval: gru has a single seed in CartPole-v1, Other-v0"]


def test_what_does_not_fit_is_told_and_never_averaged():
    assert problems(record(), record("gru-h8")) == []
    (line,) = problems(record(), record("gru-h8", total=2000.0))
    assert "compared up to 1,000 agent steps" in line
    assert "gru 2,000" in line
    other = {"core": "gru", "learning_rate": 0.1}
    (line,) = problems(record(), record("gru-h8", settings=other))
    assert "gru has other settings: learning_rate 0.1, not 0.001" in line
    half = record(seed=1, steps=np.array([10.0, 500.0]), returns=np.array([1.0, 1.0]))
    (line,) = problems(record(), half)
    assert "left out: CartPole-v1/lstm-h8/1 reached 500 of 1,000" in line
    (line,) = problems(record(), record(source="a copy"))
    assert "left out: a copy has the settings of CartPole-v1/lstm-h8/0" in line
    late = record("gru-h8", total=9000.0, steps=np.array([8000.0, 9000.0]), returns=np.ones(2))
    assert "no episode ended within 1,000 agent steps" in problems(record(), late)[1]
    (line,) = problems(record("gru-h8"), record("rim-k6-4-h8"))
    assert "no core is called lstm" in line
    lines = problems(record(), record(seed=1), record("gru-h8"), record(env="Other-v0"))
    assert lines == [
        "missing: gru has no runs in Other-v0",
        "missing: gru has fewer seeds in CartPole-v1 1 of 2",
        FEW.format("lstm"),
    ]


def test_a_run_of_no_known_length_that_is_far_behind_its_core_is_left_out():
    ends = (990.0, 991.0, 30.0)
    runs = [
        replace(record(seed=seed), total=None, steps=np.array([10.0, end]), returns=np.ones(2))
        for seed, end in enumerate(ends)
    ]
    comparison = compare(runs)
    (arm,) = comparison.arms.values()
    assert (len(arm.records), arm.limit) == (2, 990.0)
    assert (
        "left out: CartPole-v1/lstm-h8/2 reached 30 agent steps and others of its core 990: it "
        "looks broken off"
    ) in comparison.problems


def test_a_note_is_told_once_with_its_runs():
    noted = [record(seed=seed, notes=["an estimate"]) for seed in range(5)]
    (line,) = [line for line in compare(noted).problems if "estimate" in line]
    sources = ", ".join(f"CartPole-v1/lstm-h8/{seed}" for seed in range(3))
    assert line == f"{sources} and 2 more: an estimate"


def test_a_run_that_knows_how_far_it_got_must_have_got_to_its_end():
    most = {"steps": np.array([10.0, 940.0]), "returns": np.ones(2), "trained": 950.0}
    (line,) = problems(record(), record(seed=1, **most, exact=True))
    assert "left out: CartPole-v1/lstm-h8/1 reached 950 of 1,000" in line
    assert not any("left out" in line for line in problems(record(), record(seed=1, **most)))


def test_games_in_which_seeds_differ_more_than_anybody_learned_are_told():
    noisy = [record(core, seed, level=level)
             for core in ("lstm-h8", "rim-k6-4-h8")
             for seed, level in enumerate((-30.0, 40.0))]  # fmt: skip
    comparison = compare(noisy)
    assert comparison.is_learned("CartPole-v1")
    assert any("by more than anybody learned" in line for line in comparison.problems)
    steady = compare([record(core, seed) for core in ("lstm-h8", "gru-h8") for seed in (0, 1)])
    assert not any("anybody learned" in line for line in steady.problems)


def test_a_beginning_that_two_cores_share_is_told_as_a_baseline():
    runs = [record("rim-k6-4-h8"), record("rim-k6-5-h8")]
    assert any(
        "rim-k6-4 is the baseline; rim-k6-5 would be rim... too" in line
        for line in compare(runs, "rim").problems
    )
    assert not any("is the baseline" in line for line in compare(runs, "rim-k6-5").problems)


def test_cores_without_a_game_in_common_are_told_what_to_do():
    runs = [record(core, env=env)
            for env, cores in (("A-v0", "lstm-h8 gru-h8"), ("B-v0", "lstm-h8 none"))
            for core in cores.split()]  # fmt: skip
    comparison = compare(runs)
    assert comparison.shared_envs == []
    assert any("no game has runs of every core" in line for line in comparison.problems)


def test_runs_of_others_that_say_no_settings_are_told():
    assert any(
        "nothing is known of the settings of a2c" in line
        for line in compare([record(), record("a2c", settings={})]).problems
    )


def test_runs_of_other_settings_are_cores_of_their_own():
    other = {"core": "lstm", "learning_rate": 0.1}
    runs = [record(), record(seed=1), record(seed=1, settings=other)]
    names = {"lstm (learning_rate 0.001)": 2, "lstm (learning_rate 0.1)": 1}
    found = {core: len(arm.records) for (_, core), arm in compare(runs).arms.items()}
    assert found == names


def test_the_same_settings_in_other_words_are_the_same_core():
    later = {"core": "lstm", "learning_rate": 1e-3, "n_epochs": 4.0, "observe_last_action": False}
    runs = [record(settings={"core": "lstm", "learning_rate": 1e-3, "n_epochs": 4})]
    (arm,) = compare([*runs, record(seed=1, settings=later)]).arms.values()
    assert (arm.core, len(arm.records)) == ("lstm", 2)


def test_a_setting_that_one_side_lacks_is_named():
    given = {"core": "lstm", "learning_rate": 1e-3, "target_kl": None}
    runs = [record(), record(seed=1, settings=given)]
    assert compare(runs).cores == ["lstm (no target_kl)", "lstm (target_kl None)"]


def test_a_name_that_means_other_cores_in_other_games_is_told():
    small, large = "rim-k6-4-h60", "rim-k6-4-h240"
    runs = [record(core, env=env) for env, rim in (("A-v0", small), ("B-v0", large))
            for core in ("lstm-h60", rim)]  # fmt: skip
    (line,) = problems(*runs)
    assert line == (
        "rim-k6-4 is not the same in all games: rim-k6-4-h60 in A-v0; rim-k6-4-h240 in B-v0"
    )


def test_a_game_that_nobody_learned_says_nothing_of_improvement():
    runs = [record(core, env=env, level=level)
            for env, level in (("A-v0", 100.0), ("B-v0", -100.0))
            for core in ("lstm-h8", "rim-k6-4-h8")]  # fmt: skip
    summary = summarise(compare(runs))
    assert list(summary["improvement"]["rim-k6-4"]) == ["A-v0"]
    assert "B-v0: nobody learned anything" in " ".join(summary["problems"])


def test_what_was_logged_before_the_first_step_counts_as_the_beginning():
    run = record(steps=np.array([0.0, TOTAL]), returns=np.array([-5.0, 9.0]))
    (arm,) = compare([run]).arms.values()
    assert arm.curve.values[0, 0] == -5.0
    assert arm.final == [9.0]
    alone = replace(record(steps=np.zeros(1), returns=np.ones(1)), total=None)
    none_ended = record(steps=np.array([]), returns=np.array([]), trained=TOTAL)
    for run in (alone, none_ended):
        assert problems(run) == ["left out: in CartPole-v1/lstm-h8/0 no episode ended"]


def test_speed_is_that_up_to_the_last_episode():
    steps = np.array([100.0, 500.0])
    run = record(steps=steps, returns=np.ones(2), hours=steps / 3600, trained=TOTAL)
    (arm,) = compare([run]).arms.values()
    assert arm.speed == pytest.approx(1.0)


def test_frames_of_a_step_are_those_of_the_settings():
    assert frames_per_step(PONG, {}) == 4
    assert frames_per_step(PONG, {"env_kwargs": {"frame_skip": 2}}) == 2
    assert frames_per_step(PONG, {"env_kwargs": "none", "frame_skip": 3}) == 3
    assert frames_per_step(PONG, {"frame_skip": [2, 5]}) == 4  # drawn at random there
    assert frames_per_step("CartPole-v1", {"frame_skip": 2}) == 1


def test_atari_scores_are_between_random_and_human():
    comparison = compare([record(env=PONG, level=14.6), record("rim-k6-4-h8", env=PONG, level=0.0)])
    assert comparison.scale == "human"
    assert comparison.scores("lstm")[0] == pytest.approx([1.0])
    random, human = references()["Pong"].random, references()["Pong"].human
    assert comparison.scores("rim-k6-4")[0] == pytest.approx([-random / (human - random)])
    assert comparison.improvement(PONG, "rim-k6-4") == pytest.approx(-1460 / (14.6 - random))


def test_other_scores_are_between_the_beginning_and_the_best():
    comparison = compare([record(level=50.0), record("rim-k6-4-h8", level=100.0)])
    floor, top = comparison.anchors["CartPole-v1"]
    assert top == 100.0
    assert floor == pytest.approx(75 * 0.03)  # both first windows: episodes at 10 and 20 steps
    assert comparison.scores("rim-k6-4")[0] == pytest.approx([1.0])
    assert comparison.improvement("CartPole-v1", "rim-k6-4") == pytest.approx(
        100 * 50 / (top - floor)
    )
    (line,) = problems(record(returns=np.zeros(100)))
    assert "nobody learned anything" in line


def test_names_of_atari_games():
    ids = (PONG, "ALE/Pong-v5", "Pong-v4", "PongDeterministic-v4", "CartPole-v1", "MinAtar/Pong-v1")
    assert [atari_game(env) for env in ids] == ["Pong"] * 4 + [None, None]
    assert len(references()) == 57
    assert [name for name, reference in references().items() if reference.is_close] == [
        "VideoPinball"
    ]
    assert len(table7()) == 41


def test_games_are_called_by_what_tells_them_apart():
    ids = ["PongNoFrameskip-v4", "ALE/Boxing-v5", "popgym-RepeatFirstEasy-v0", "MinAtar/Asterix-v1"]
    assert list(short_games(ids).values()) == ["Pong", "Boxing", "RepeatFirstEasy", "Asterix"]
    same = ["PongNoFrameskip-v4", "ALE/Pong-v5", "-v1"]
    assert short_games(same) == {env: env for env in same}


def test_table_7_stands_beside_ours():
    alien = "AlienNoFrameskip-v4"  # 1612 and 2152 in the paper
    runs = [record(env=alien, level=500.0), record("rim-k6-4-h8", env=alien, level=900.0)]
    summary = summarise(compare(runs))
    assert summary["paper"][alien]["agreement"] == "same order"
    five = {"core": "rim", "learning_rate": 1e-3, "num_active": 5}  # as in the paper: that counts
    of_paper = record("rim-k6-5-h8", env=alien, level=100.0, settings=five)
    assert summarise(compare([*runs, of_paper]))["paper"][alien]["agreement"] == "other order"
    assert "the same order in 1 of 1 games in which" in as_text(summary, "x")
    breakout = "BreakoutNoFrameskip-v4"  # 590 and 593, give or take 90
    same = [record(env=breakout, level=500.0), record("rim-k6-4-h8", env=breakout, level=900.0)]
    summary = summarise(compare(same))
    assert summary["paper"][breakout]["agreement"] == "within the paper's spread"
    text = as_text(summary, "x")
    assert "the same order in 0 of 0 games in which" in text
    assert "| 900 |" in text  # a single seed has no spread


def test_tables_have_what_the_summary_has():
    runs = [record(core, seed, level=50.0 + seed + 40 * (core != "lstm-h8"))
            for core in ("lstm-h8", "rim-k6-4-h8") for seed in range(3)]  # fmt: skip
    summary = summarise(compare(runs))
    lstm, rim = rows(summary)
    assert " ".join(rim) == (
        "env core seeds parameters steps_per_second final final_low final_high score best area "
        "seeds_at_threshold steps_to_threshold"
    )
    assert rim["final"] == pytest.approx(91.0)
    assert rim["final_low"] <= rim["final"] <= rim["final_high"]
    assert (rim["seeds_at_threshold"], lstm["seeds_at_threshold"]) == (3, 2)
    together = summary["together"]["cores"]["rim-k6-4"]
    assert together["probability of improvement"] == {"value": 1.0, "interval": [1.0, 1.0]}
    assert summary["improvement"]["rim-k6-4"]["CartPole-v1"] > 30
    assert "| seeds that reach 70, median of when |" in as_text(summarise(compare(runs), 70.0), "x")
    text = as_text(summary, "python -m rims_rl.compare runs")
    few = "\n".join(f"- {FEW.format(core)}" for core in ("lstm", "rim-k6-4"))
    assert text.startswith(f"    python -m rims_rl.compare runs\n\n**To know**\n\n{few}\n\n**Games")
    assert "| CartPole-v1 | rim-k6-4 | 3 | 10 | 1 | 91 [90, 92] |" in text


def test_a_score_is_the_normalised_return_at_the_end():
    runs = [record("lstm-h8", seed, env="PongNoFrameskip-v4", level=14.6) for seed in range(2)]
    found = compare(runs)
    assert found.score("PongNoFrameskip-v4", "lstm") == pytest.approx((14.6 + 20.7) / 35.3)
    alone = compare([record("lstm-h8", level=0.0)])
    assert alone.score("CartPole-v1", "lstm") is None


def test_a_game_with_more_seeds_counts_as_much_as_others_together():
    level = {"A-v0": 0.0, "B-v0": 100.0}
    runs = [
        record(name, seed=seed, env=env, level=level[env] + of_core)
        for name, of_core in (("lstm-h8", 0.0), ("gru-h8", 10.0))
        for env, seeds in (("A-v0", 2), ("B-v0", 4))
        for seed in range(seeds)
    ]
    found = compare(runs)
    assert [len(game) for game in found.scores("gru")] == [2, 2]
    even = compare([run for run in runs if run.seed in (0, 1)])
    np.testing.assert_array_equal(found.scores("gru"), even.scores("gru"))
    told = [line for line in found.problems if line.startswith("together")]
    assert told[0].startswith("together: of lstm the first 2 of each game are counted")
    assert "B-v0" in told[0]
    assert not [line for line in even.problems if line.startswith("together")]
    curves = [summarise(of)["together"]["cores"]["gru"]["curve"] for of in (found, even)]
    assert curves[0] == curves[1]
