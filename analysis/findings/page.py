"""The folder of a study's page: claims, tables, figures, manifest, and the page itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.parser import OutputOptions
from analysis.commands.run_folder import MANIFEST, read_manifest
from analysis.findings import measurements
from analysis.findings.claims import NOT_RUN, judge
from analysis.findings.measurements import Study
from analysis.findings.study import CELLS, CLAIMS, DERIVED, NAME, PICTURES, SNAPSHOTS, TABLES
from analysis.pages import fingerprint, notebooks
from analysis.pages import html as pages_html
from analysis.pages.attachments import Attachment
from analysis.plotting.notebook_output import reduced
from mtd.utils import atomic_write
from mtd.utils.errors import BadInput
from mtd.utils.messages import note


def run(study: str | Path, output: OutputOptions | None = None) -> Path:
    """Judge the claims by a study and make the page; returns the page's folder.

    Args:
        study: folder of run folders; or a folder that this function wrote, of which the page alone
            is made again.
        output: where the page is written, by default into `page` in the study.

    Raises:
        BadInput: no such study, nothing in it, or a folder that cannot be written.
        Failed: a cell of the notebook failed.
    """
    output, runs = output or OutputOptions(), Study(Path(study))
    if not runs.path.is_dir():
        raise BadInput(f"{runs.path}: no such folder; expected one of run folders")
    notebooks.check_kernel()
    if (runs.path / f"{CLAIMS}.csv").is_file():
        if output.output_dir:
            raise BadInput(f"{runs.path}: was made from a study, and is made again where it is")
        publish(runs.path, output.quiet)
        return runs.path
    folder = Path(output.output_dir or runs.path / "page")
    check_folder(folder, runs.path)
    frames, claims = collect_tables(runs), judge(runs)
    if (claims.verdict == NOT_RUN).all():
        known = ", ".join(dict.fromkeys(run for run, _ in TABLES.values()))
        raise BadInput(
            f"{runs.path}: decides no claim; expected runs such as {known}, of networks with the "
            "names of reports/findings/remake.sh"
        )
    for name in (*TABLES, *DERIVED, *PICTURES):  # a run may have been removed since
        (folder / f"{name}.csv").unlink(missing_ok=True)
        (folder / f"{name}.png").unlink(missing_ok=True)
    for name, frame in (frames | {CLAIMS: claims}).items():
        atomic_write.write(folder / f"{name}.csv", frame.to_csv(index=False, na_rep="nan"))
    for name, content in collect_pictures(runs).items():
        atomic_write.write(folder / f"{name}.png", content)
    atomic_write.write(folder / MANIFEST, json.dumps(manifest(runs), indent=2) + "\n")
    publish(folder, output.quiet)
    return folder


def check_folder(folder: Path, study: Path) -> None:
    """Check that the page can be written into a folder.

    Raises:
        BadInput: it is the study, or another run.
    """
    if folder.resolve() == study.resolve():
        raise BadInput(f"--output-dir {folder}: is the study; give another folder")
    if (folder / MANIFEST).is_file() and read_manifest(folder).get("analysis") != NAME:
        raise BadInput(f"--output-dir {folder}: holds another run; give another folder")


def collect_tables(study: Study) -> dict[str, pd.DataFrame]:
    """The tables of the page, without those whose runs are missing."""
    frames = {name: study.table(*place) for name, place in TABLES.items()}
    frames |= {CELLS: measurements.cells(study), SNAPSHOTS: measurements.snapshots(study)}
    return {name: frame for name, frame in frames.items() if frame is not None}


def collect_pictures(study: Study) -> dict[str, bytes]:
    """The figures that the page copies, in 256 colors, without those whose runs are missing."""
    paths = {name: study.path / run / f"{stem}.png" for name, (run, stem) in PICTURES.items()}
    return {name: reduced(path.read_bytes()) for name, path in paths.items() if path.is_file()}


def manifest(study: Study) -> dict[str, Any]:
    """What the numbers depend on: code, and the models by digest, noises and images of each run."""
    scored = [run for runs in DERIVED.values() for run in runs]
    names = dict.fromkeys([*scored, *(run for run, _ in TABLES.values())])
    folders = {name: study.path / name for name in names}
    runs = {
        name: summary_of_run(read_manifest(folder))
        for name, folder in folders.items()
        if (folder / MANIFEST).is_file()
    }
    return {"analysis": NAME, "judged_by": code_digests(), "runs": runs}


def summary_of_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """Models by digest, noises and images of a run, from its manifest."""
    crops = crops_of_run(run)
    text = json.dumps(crops, sort_keys=True).encode()
    return {
        "analysis": run["analysis"],
        "models": {name: about.get("sha256") for name, about in run.get("models", {}).items()},
        **{key: run[key] for key in ("noises", "seed", "input_mask", "logs") if key in run},
        "images": len({crop["image"] for crop in crops}),
        "crops": len(crops),
        "crop": run.get("crop"),
        "crops_sha256": hashlib.sha256(text).hexdigest(),
    }


def crops_of_run(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The crops in a run's manifest, those of recorded noise included."""
    crops = list(run.get("crops", []))
    for recorded in run.get("recorded", {}).values():
        crops += recorded["crops"] if isinstance(recorded, dict) else []
    return crops


def code_digests() -> dict[str, str]:
    """Digests of the code and published numbers that verdicts depend on."""
    package = Path(__file__).parent
    paths = [package / "claims.py", package / "measurements.py"]
    paths += sorted((package / "published").glob("*.csv"))
    return {path.relative_to(package).as_posix(): fingerprint.digest(path) for path in paths}


def page_inputs() -> dict[str, Any]:
    """What the page depends on beside its tables; see `analysis.pages.fingerprint.inputs`."""
    return fingerprint.inputs([NAME], [f"analysis.{NAME}"], {})


def publish(folder: Path, quiet: bool = True) -> None:
    """Execute the notebook on a folder's tables, and write the page beside them.

    Raises:
        BadInput: no kernel, or a file that cannot be written.
        Failed: a cell failed.
    """
    note("executing the notebook", quiet=quiet)
    notebook = notebooks.with_parameters(notebooks.stored(NAME), {"run_dir": "."}, NAME)
    executed = notebooks.execute(notebook, folder, NAME, quiet)
    paths = [*sorted(folder.glob("*.csv")), folder / MANIFEST]
    attachments = [Attachment(path.name, path.read_bytes()) for path in paths]
    html = pages_html.html(executed, attachments, fingerprint.heading(executed))
    atomic_write.write(folder / f"{NAME}.html", html)
    atomic_write.write(folder / fingerprint.INPUTS, json.dumps(page_inputs(), indent=2) + "\n")
    print(f"written to {folder / NAME}.html")
