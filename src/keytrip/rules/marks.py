"""The lines of a YAML file's members, for problems that name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import yaml

Step = str | int
Steps = tuple[str, ...]


@dataclass(frozen=True)
class Marks:
    """Lines of a YAML document's members.

    Attributes:
        first: The line that the document begins on.
        lines: Path of a member -> its line.
        repeated: Members that stand twice in one mapping: YAML readers keep the last and say nothing.
    """

    first: int = 1
    lines: Mapping[Steps, int] = field(default_factory=dict)
    repeated: Sequence[Steps] = ()

    def line(self, *path: Step) -> int:
        """Return the line of a member, or of the nearest one around it that is there."""
        steps = self.known(path)
        return self.lines[steps] if steps else self.first

    def known(self, path: Sequence[Step]) -> Steps:
        """Return the longest beginning of `path` that is a member."""
        steps = tuple(map(str, path))
        return next((steps[:n] for n in range(len(steps), 0, -1) if steps[:n] in self.lines), ())


def marks_of(node: yaml.Node) -> Marks:
    """Return the lines of a document's members."""
    lines: dict[Steps, int] = {}
    repeated: list[Steps] = []
    # an alias shares its node, and a node may even hold itself
    done: set[int] = set()

    def visit(steps: Steps, node: yaml.Node) -> None:
        if id(node) in done:
            return
        done.add(id(node))
        for name, place, value in members_of(node):
            inner = (*steps, name)
            if inner in lines and name != "<<":
                repeated.append(inner)
            lines[inner] = place.start_mark.line + 1
            visit(inner, value)

    visit((), node)
    return Marks(node.start_mark.line + 1, lines, repeated)


def members_of(node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Yield (name or index, node with the line, value) of each member of a mapping or list."""
    if isinstance(node, yaml.MappingNode):
        yield from ((str(key.value), key, value) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        yield from ((str(n), value, value) for n, value in enumerate(node.value))
