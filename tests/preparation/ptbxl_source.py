"""A small PTB-XL whose signals are known."""

import numpy as np
import wfdb

from physio_mae_jax.preparation.builder import make_builder
from physio_mae_jax.preparation.layouts.ptbxl import PtbXl
from physio_mae_jax.signals.channels import TWELVE_LEADS

HEADER = "ecg_id,patient_id,age,sex,scp_codes,strat_fold,filename_lr,filename_hr"
STATEMENTS = """,description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass
NORM,normal,1.0,,,NORM,NORM
IMI,infarction,1.0,,,MI,IMI
SR,sinus,,,1.0,,
PVC,ectopic,,1.0,,,
"""
CODES = ("{'NORM': 100.0, 'SR': 0.0}", "{'IMI': 15.0, 'PVC': 100.0}", "{'SR': 0.0}")


def make_source(folder, count=24, rate=100, samples=1000):
    """Write a small PTB-XL with signals that are known."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scp_statements.csv").write_text(STATEMENTS, encoding="utf-8")
    rows = [HEADER]
    for number in range(1, count + 1):
        position = folder / "records100" / "00000"
        position.mkdir(parents=True, exist_ok=True)
        digital = np.random.default_rng(number).integers(-900, 900, (samples, 12))
        wfdb.wrsamp(
            f"{number:05d}_lr",
            fs=rate,
            units=["mV"] * 12,
            sig_name=[name.upper() for name in TWELVE_LEADS],
            d_signal=digital,
            fmt=["16"] * 12,
            adc_gain=[1000.0] * 12,
            baseline=[0] * 12,
            write_dir=str(position),
        )
        codes = CODES[number % 3]
        path = f"records100/00000/{number:05d}_lr"
        rows.append(f'{number},{number // 2}.0,56.0,1,"{codes}",{number // 2 % 10 + 1},{path},x')
    (folder / "ptbxl_database.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def prepare(source, out, **options):
    builder = make_builder(PtbXl())(source=source, data_dir=out, **options)
    return builder, builder.prepare()


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def damage_dat(folder):
    path = folder / "records100" / "00000" / "00003_lr.dat"
    path.write_bytes(path.read_bytes()[:5000])
