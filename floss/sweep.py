"""What a sweep adds to its runs: one folder with the rows of all of them, and the pictures that compare them.

The jobs of a sweep run one after the other, each in its own folder; this is also the place where jobs that can be
stacked would be put together into one ensemble before they run.
"""

import csv
import hashlib
import io
import json
from pathlib import Path

from omegaconf import OmegaConf

from floss.config import TrainJob, config_hash, config_values
from floss.experiment import finished
from floss.figures import draw
from floss.results import METRICS, SUMMARY, csv_text, write_json, write_whole


def collect(jobs: list[TrainJob]) -> Path:
    """Put the rows of a sweep's finished jobs into one folder, draw them, and return the folder.

    Raises:
        FileNotFoundError: none of the jobs is finished.
    """
    unique = list({config_hash(job): job for job in jobs if finished(job.folder)}.values())
    if not unique:
        raise FileNotFoundError("no job of this sweep is finished")
    digest = hashlib.sha256(" ".join(sorted(map(config_hash, unique))).encode()).hexdigest()[:10]
    tasks = "-".join(dict.fromkeys(job.task.name for job in unique))
    folder = Path(unique[0].results) / f"sweep-{tasks}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in (("metrics.csv", METRICS), ("summary.csv", SUMMARY)):
        tables = [list(csv.DictReader(io.StringIO((job.folder / name).read_text()))) for job in unique]
        for job, table in zip(unique, tables, strict=True):
            if tuple(table[0])[: len(columns)] != columns:
                raise ValueError(f"{job.folder / name}: its columns are not those of this version of floss")
        # Jobs with different diagnostics have different further columns; what one did not measure is left empty.
        every = list(dict.fromkeys(column for table in tables for column in table[0]))
        rows = [[row.get(column) for column in every] for table in tables for row in table]
        write_whole(folder / name, csv_text(every, rows).encode())
    configs = {"runs": [config_values(job) for job in unique], "folders": [job.folder.name for job in unique]}
    write_whole(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(configs)).encode())
    made = {job.folder.name: json.loads((job.folder / "environment.json").read_text()) for job in unique}
    write_json(folder / "environment.json", made)
    draw(folder)
    return folder
