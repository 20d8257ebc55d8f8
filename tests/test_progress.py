from ptft_jax import progress


def test_the_time_left_leaves_the_first_piece_out(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = progress.Lines(10.0)
    lines.stage("compiling")
    lines.advance(0.0, "begun")
    for seconds, amount in ((60.0, 1.0), (4.0, 2.0), (4.0, 2.0), (10.0, 5.0)):
        now[0] += seconds
        lines.advance(amount, f"+{amount:g}")
    lines.advance(1.0)
    assert capsys.readouterr().err.splitlines() == [
        "begun (after 0 s)",
        "+1 (after 1 min 0 s)",
        "+2 (after 1 min 4 s, about 14 s left)",
        "+2 (after 1 min 8 s, about 10 s left)",
        "+5 (after 1 min 18 s)",
    ]
