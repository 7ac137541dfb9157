"""The lines of progress in a log file."""

from rims_rl.runs.progress import Bar


def test_time_left_is_unknown_before_the_first_step(capsys):
    bar = Bar(total=100, done=0, unit="step", note=lambda: "")
    bar.print_line()
    assert "0/100 steps (0%)" in (err := capsys.readouterr().err)
    assert "ETA unknown" in err
    bar.advance(50)
    bar.print_line()
    assert "ETA 00:" in capsys.readouterr().err
