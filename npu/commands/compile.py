"""`npu compile`: a network as a file whose segments are commands and weights of the NPU."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from npu.commands.arguments import DEFAULT_CONFIG, ConfigOption, ModelArgument, QuietOption


class FileFormat(StrEnum):
    """What is written."""

    TFLITE = "tflite"
    C = "c"


def compile(
    model: ModelArgument,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The file to write; of C, the .c beside its .h."
        ),
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    format: Annotated[
        FileFormat,
        typer.Option(help="tflite, or the same as an array in C with an index of its segments."),
    ] = FileFormat.TFLITE,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary", help="Also print arena, weights, scratchpad and cycles of each segment."
        ),
    ] = False,
    json: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write the summary as JSON; - is standard output."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="OUT.html", help="Write a page with figures, which opens offline."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Compile a network for firmware and interpreters.

    Each run of operators for the NPU becomes one operator NPU with commands and weights; the
    others stay. The file runs in TFLM with our operator (see rtl/driver), and in tf.lite and LiteRT
    with npu.delegate, on the configuration that it was compiled for.
    """
    from npu.embedded.c_source import c_sources
    from npu.embedded.compiled_model import compile_model
    from npu.model.tflite_reader import read_model
    from npu.report.compiled import print_compiled, print_summary
    from npu.report.record import (
        STDOUT,
        check_output_path,
        hardware_record,
        model_record,
        record_header,
        write_bytes,
        write_json,
    )
    from npu.report.tables import make_console
    from rtl.config import load_config

    hardware = load_config(config)
    check_output_path(output, "--output")
    check_output_path(json, "--json", stdout=True)
    check_output_path(html, "--html")
    compiled = compile_model(read_model(model), hardware)
    if format == FileFormat.C:
        for name, text in c_sources(compiled, output.stem).items():
            write_bytes(text.encode(), output.with_name(name))
    else:
        write_bytes(compiled.file, output)
    console = make_console(stderr=json == STDOUT, quiet=quiet)
    print_compiled(console, compiled, output, config)
    if not (summary or json or html):
        return
    from npu.embedded.summary import summarize
    from npu.report.page.write import write_page

    found = summarize(compiled)
    if summary:
        print_summary(console, found)
    record = {
        **record_header("compile"),
        **model_record(compiled.network.graph, model.name),
        **hardware_record(config, hardware),
        "output": output.name,
        "summary": found.to_dict(),
    }
    if json is not None:
        write_json(record, json)
    if html is not None:
        write_page(record, html)
