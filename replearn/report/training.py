"""Panels of a training, from the lines of its `metrics.jsonl`."""

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes

from replearn.report.figures import DASHES, MARKERS, MUTED, SERIES, draw
from replearn.report.page import Absent, Figure, Panel

Line = Mapping[str, float]
Points = tuple[list[float], list[float]]

_PROBES = {
    "linear": "Mean F1 of a linear detector",
    "knn": "Mean F1 of nearest neighbours",
    "rankme": "RankMe: directions that the embeddings fill",
}


def build_panels(lines: Sequence[Line], model: str) -> list[Panel | Absent]:
    """Return all panels about the metrics of a training.

    Args:
        lines: one mapping of names to numbers for each logged step, `step` among them.
        model: its name, for the reasons of missing panels.
    """
    if not lines:
        reason = f"{model} was not trained step by step, or its metrics.jsonl is gone."
        return [Absent("Training curves", reason), Absent("Critic balance", reason)]
    builders = (_term_panel, _balance_panel, _code_panel, _probe_panel)
    panels = [build(lines, model) for build in builders]
    conditions = [name for name in _names(lines) if name.endswith("jacobian/condition")]
    return [*panels, _conditioning_panel(lines, conditions)] if conditions else panels


def _term_panel(lines: Sequence[Line], model: str) -> Panel | Absent:
    # Gradients and `order` are logged, not minimised.
    diagnostics = ("gradient", "order")
    parts = {name: name.split("/") for name in _names(lines) if "/" in name}
    players = {player for player, last in parts.values() if last == "gradient"}
    names = [
        n for n, (player, last) in parts.items() if player in players and last not in diagnostics
    ]
    if not names:
        return Absent("Training curves", f"{model} minimises no terms.")
    figures = [_term_figure(lines, name) for name in names]
    lengths = [name for name in _names(lines) if name.endswith("/gradient")]
    if lengths:
        figures.append(_gradient_figure(lines, lengths))
    text = (
        "What each player minimises, term by term: the mean since the point before. In "
        "adversarial training a term may rise without anything being wrong; the critic's balance, "
        "below, says more."
    )
    return Panel("Training curves", [text], figures)


def _balance_panel(lines: Sequence[Line], model: str) -> Panel | Absent:
    orders = {name: _points(lines, name) for name in _names(lines) if name.endswith("/order")}
    if not orders:
        return Absent("Critic balance", f"{model} has no critic.")

    def paint(axes: Axes) -> None:
        for level in (0.5, 1.0):
            axes.axhline(level, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        _paint_lines(axes, {_player(n): points for n, points in orders.items()}, first=1)
        axes.set(ylim=(0.35, 1.05), xlabel="step", ylabel="share in order")

    last = ", ".join(f"{_player(name)} {points[1][-1]:.2f}" for name, points in orders.items())
    text = (
        "How often the critic gives a real input a larger logit than a made one. At 0.5 it cannot "
        "tell them apart; at 1 it is never wrong, and the other player learns little from it."
    )
    alt = f"Critic balance over the training; at the end: {last}"
    return Panel("Critic balance", [text], [Figure(draw(paint, alt=alt), f"At the end: {last}.")])


def _code_panel(lines: Sequence[Line], model: str) -> Panel | Absent:
    title = "Codes against the prior"
    names = [name for name in _names(lines) if _player(name).endswith("codes")]
    if not names:
        return Absent(title, f"{model} has no prior, or logged nothing about its codes.")
    prefixes = dict.fromkeys(name.rsplit("codes/", 1)[0] for name in names)
    figures = []
    for prefix in prefixes:
        curves = {n: _points(lines, f"{prefix}codes/{n}") for n in _STATISTICS}
        figures += [_statistic_figure(prefix, curves, title) for title in _STATISTIC_FIGURES]
    text = (
        "Codes that follow their prior have the mean and the deviation of its draws, and are as "
        "far from draws as draws are from each other (sliced Wasserstein distance)."
    )
    return Panel(title, [text], figures)


_STATISTICS = {
    "mean": "mean of a unit, without sign",
    "deviation": "deviation of a unit",
    "distance": "codes to draws",
    "distance_of_draws": "draws to draws",
}
_STATISTIC_FIGURES = {
    "Mean and deviation": ("mean", "deviation"),
    "Distance to the prior": ("distance", "distance_of_draws"),
}


def _statistic_figure(prefix: str, curves: Mapping[str, Points], title: str) -> Figure:
    logged = {_STATISTICS[key]: curves[key] for key in _STATISTIC_FIGURES[title] if curves[key][0]}
    ends = ", ".join(f"{name} {points[1][-1]:.3f}" for name, points in logged.items())
    heading = f"{prefix.strip('-')}: {title.lower()}" if prefix else title

    def paint(axes: Axes) -> None:
        _paint_lines(axes, logged, marked=True)
        axes.set(xlabel="step", title=heading)
        axes.set_ylim(bottom=0)

    return Figure(draw(paint, alt=f"{heading} over the training; at the end: {ends}", height=260))


def _conditioning_panel(lines: Sequence[Line], names: Sequence[str]) -> Panel:
    figures = []
    for name in names:
        points = _points(lines, name)
        drawing = _curve(points, title=name, colour=SERIES[0], marked=True)
        times = f"{10 ** points[1][-1]:,.0f}"
        figures.append(Figure(drawing, f"At the end the largest is {times} times the smallest."))
    text = (
        "Decimal logarithm of the largest over the smallest singular value of the generator's "
        "Jacobian. Where it rises, the samples change ever more along some directions of the code, "
        "and ever less along others (Odena et al. 2018)."
    )
    return Panel("Conditioning of the generator", [text], figures)


def _probe_panel(lines: Sequence[Line], model: str) -> Panel | Absent:
    curves = {name: _points(lines, f"probe/{name}") for name in _PROBES}
    logged = {name: points for name, points in curves.items() if points[0]}
    if not logged:
        return Absent(
            "Probes", "no labelled images were given to the training (train --valid-concepts)."
        )
    figures = [
        Figure(
            _curve(points, title=_PROBES[name], colour=SERIES[2], marked=True),
            f"At the end: {points[1][-1]:.3f}.",
        )
        for name, points in logged.items()
    ]
    text = (
        "What simple detectors made of the embeddings while the training ran. They choose the "
        "weights to keep on the very images that they score, so they are no estimate of how well "
        "a detector will do."
    )
    return Panel("Probes", [text], figures)


def _term_figure(lines: Sequence[Line], name: str) -> Figure:
    player, term = name.split("/", 1)
    title = f"{player}: {term.replace('_', ' ')}"
    return Figure(_curve(_points(lines, name), title=title, colour=_colour_of(player)))


def _colour_of(player: str) -> str:
    return SERIES[1] if "critic" in player else SERIES[0]


def _curve(points: Points, *, title: str, colour: str, marked: bool = False) -> Markup:
    def paint(axes: Axes) -> None:
        marker = "o" if marked or len(points[0]) == 1 else ""
        axes.plot(*points, color=colour, marker=marker)
        axes.set(xlabel="step", title=title)

    first, last = points[1][0], points[1][-1]
    return draw(paint, alt=f"{title}, from {first:.4g} at first to {last:.4g} at the end")


def _gradient_figure(lines: Sequence[Line], names: Sequence[str]) -> Figure:
    # The critic comes last: its colour is then the one that its terms have.
    ordered = sorted(names, key=lambda name: "critic" in name)
    curves = {_player(name): _points(lines, name) for name in ordered}

    def paint(axes: Axes) -> None:
        axes.set_yscale("log")
        _paint_lines(axes, curves)
        axes.set(xlabel="step", title="length of the gradients")

    return Figure(draw(paint, alt=f"Lengths of the gradients of {', '.join(curves)}", height=260))


def _paint_lines(
    axes: Axes, curves: Mapping[str, Points], *, marked: bool = False, first: int = 0
) -> None:
    for number, (name, points) in enumerate(curves.items(), first):
        series = number % len(SERIES)
        marker = MARKERS[series] if marked or len(points[0]) == 1 else ""
        dashes = DASHES[(number - first) % len(DASHES)]
        axes.plot(*points, color=SERIES[series], linestyle=dashes, marker=marker, label=name)
    if len(curves) > 1:
        axes.legend(loc="best")


def _names(lines: Iterable[Line]) -> list[str]:
    """Return all names in the order of their first occurrence."""
    return list(dict.fromkeys(name for line in lines for name in line))


def _player(name: str) -> str:
    return name.rpartition("/")[0]


def _points(lines: Iterable[Line], name: str) -> Points:
    """Return the steps at which something was logged, and its values."""
    points = [(line["step"], line[name]) for line in lines if name in line]
    return [step for step, _ in points], [value for _, value in points]
