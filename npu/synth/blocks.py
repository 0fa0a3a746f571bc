"""The hierarchy of a design with what each block takes, from yosys's statistics."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from npu.synth.resources import Cells, Figures


@dataclass(frozen=True)
class Block:
    """A module at one place of the hierarchy, all its instances there together.

    Attributes
    ----------
    module : its name. instances : how often its parent, counted once, has it.
    count : instances in the whole design at this place.
    own : resources of all `count` instances without the blocks in them.
    total : with them.
    children : the blocks in it, the largest first.
    """

    module: str
    instances: int
    count: int
    own: Figures
    total: Figures
    children: tuple["Block", ...]

    def walk(self, depth: int = 0) -> Iterator[tuple[int, "Block"]]:
        """This block and all below it, with their depths, each before those in it."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)

    def to_dict(self) -> dict[str, Any]:
        """As JSON without what follows from the rest; `from_dict` reads it back."""
        return {
            "module": self.module,
            "instances": self.instances,
            "own": self.own,
            "children": [child.to_dict() for child in self.children],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], parents: int = 1) -> "Block":
        """The block of a record that `to_dict` made, whose parent is there `parents` times."""
        count = parents * record["instances"]
        children = tuple(cls.from_dict(child, count) for child in record["children"])
        return _block(record["module"], record["instances"], count, record["own"], children)


def block_tree(
    top: str, cells: Mapping[str, Cells], own: Mapping[str, Figures], size: str
) -> Block:
    """The hierarchy below `top`.

    Parameters
    ----------
    cells : of each module, cells and instances by type.
    own : resources of one instance of each module, without the modules in it.
    size : the figure that orders children.
    """

    def build(module: str, instances: int, count: int) -> Block:
        inside = {name: number for name, number in cells[module].items() if name in cells}
        children = [build(name, number, number * count) for name, number in inside.items()]
        children.sort(key=lambda child: (-child.total[size], child.module))
        mine = {name: value * count for name, value in own[module].items()}
        return _block(module, instances, count, mine, tuple(children))

    return build(top, 1, 1)


def _block(
    module: str, instances: int, count: int, own: Figures, children: tuple[Block, ...]
) -> Block:
    total = {
        name: value + sum(child.total[name] for child in children) for name, value in own.items()
    }
    return Block(module, instances, count, own, total, children)


def module_cells(statistics: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Cells of each module by type, from what `stat -json` wrote; names without escapes."""
    return {
        name.removeprefix("\\"): {
            cell.removeprefix("\\"): number for cell, number in body["num_cells_by_type"].items()
        }
        for name, body in statistics["modules"].items()
    }


def routable_units(tree: Block, size: str, limit: float) -> list[str]:
    """Modules to be routed alone: every block of at most `limit`, or without blocks in it.

    What a larger block has of its own beside those in it is in none of them.

    Parameters
    ----------
    size : the figure that `limit` is of; one instance is compared.
    """
    if not tree.children or tree.total[size] / tree.count <= limit:
        return [tree.module]
    found = (name for child in tree.children for name in routable_units(child, size, limit))
    return list(dict.fromkeys(found))
