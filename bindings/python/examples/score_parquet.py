# SPDX-License-Identifier: MIT
"""Scores a Parquet data set with Ray Data: every worker makes the model once, blocks of rows stream through the workers,
and each row leaves with its score, and with its p-value where the model is calibrated.

    python score_parquet.py model.dum rows/ scored/ [--embedding COLUMN] [--workers N] [--batch ROWS] [--memory MIB]

A model that was fitted on named columns takes those; any other takes lists of numbers from the column of --embedding.
Memory does not grow with the data set. On a cluster set RAY_ADDRESS; without it Ray starts on this machine."""

import argparse
import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE", "1")  # containers have little /dev/shm

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import ray

import dum


def rows_of(table: pa.Table, scorer: dum.Scorer, embedding: str) -> npt.NDArray[np.float32]:
    if scorer.names is not None:
        return np.column_stack([np.asarray(table.column(name), dtype=np.float32) for name in scorer.names])
    lists = table.column(embedding).combine_chunks()
    if not pc.all(pc.fill_null(pc.equal(pc.list_value_length(lists), scorer.cols), False)).as_py():
        raise ValueError(f"{embedding}: not each row has a list of {scorer.cols} numbers")
    numbers = np.asarray(lists.flatten(), dtype=np.float32)
    return numbers.reshape(len(table), scorer.cols)


class Score:
    """One in each worker process."""

    def __init__(self, model: bytes, embedding: str) -> None:
        dum.set_threads(1)  # the workers are the threads
        self.scorer = dum.Scorer.from_bytes(model)
        self.embedding = embedding

    def __call__(self, table: pa.Table) -> pa.Table:
        scores = self.scorer.score(rows_of(table, self.scorer, self.embedding))
        table = table.append_column("score", pa.array(scores))
        if self.scorer.calibration_count > 0:
            table = table.append_column("p_value", pa.array(self.scorer.pvalue(scores)))
        return table


def main() -> None:
    parser = argparse.ArgumentParser(description="Scores a Parquet data set with Ray Data.")
    parser.add_argument("model")
    parser.add_argument("rows", help="folder or file of Parquet")
    parser.add_argument("scored", help="folder to write to")
    parser.add_argument("--embedding", default="embedding", help="column of lists, for models without column names")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4096, help="rows that a worker scores at once")
    parser.add_argument("--memory", type=int, default=256, help="MiB that blocks may take between the steps")
    chosen = parser.parse_args()

    model = dum.Scorer.load(chosen.model).to_bytes()  # bytes reach workers that do not see this machine's files
    if "RAY_ADDRESS" in os.environ:
        ray.init()
    else:
        ray.init(
            num_cpus=chosen.workers + 1,  # one for reading and writing
            object_store_memory=chosen.memory << 20,
            include_dashboard=False,
            log_to_driver=False,
        )
    context = ray.data.DataContext.get_current()
    context.target_max_block_size = 16 << 20  # so that many blocks, not two, fit into --memory
    context.enable_progress_bars = False
    ray.data.read_parquet(chosen.rows).map_batches(
        Score,
        fn_constructor_args=(model, chosen.embedding),
        batch_format="pyarrow",
        batch_size=chosen.batch,
        compute=ray.data.ActorPoolStrategy(size=chosen.workers),
    ).write_parquet(chosen.scored)
    ray.shutdown()


if __name__ == "__main__":
    main()
