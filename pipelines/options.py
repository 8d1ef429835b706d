"""Options that several stages share: of ids, and of label files that leave their layout open."""

from typing import Annotated

import typer

from replearn.concepts.reading import LayoutName, Uncertain
from replearn.ids import IdsFrom

IdsFromOption = Annotated[
    IdsFrom,
    typer.Option("--ids-from", help="An id is the file's name, or its path, without extension."),
]
LayoutOption = Annotated[
    LayoutName | None, typer.Option("--layout", help="Layout of label files, if it is in doubt.")
]
SeparatorOption = Annotated[
    str | None, typer.Option("--separator", help="What stands between the concepts of a field.")
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="ID,CONCEPTS",
        help="Columns of ids and concepts: header or number.",
    ),
]
UncertainOption = Annotated[
    Uncertain | None,
    typer.Option("--uncertain", help="What -1 among columns of 1 and 0 counts as."),
]
