"""The cohort table: what is understood, and that all faults are listed at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from layer_fast.errors import TableError
from layer_fast.io import load_table

HEAD = "scan_id,subject,bmode,swe,swe_unit,label\n"


def table(folder: Path, text: str, name: str = "cohort.csv", encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def faults(path: Path, **options: object) -> str:
    with pytest.raises(TableError) as caught:
        load_table(path, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_full_row(tmp_path: Path) -> None:
    text = (
        "scan_id,subject,visit,side,bmode,swe,swe_unit,mask,mask:AB,label,label_type,label_unit,fold,age\n"
        "s1,p1,1,L,us/a.nii,../swe/a.nii,kPa,m.nii,/abs/m2.nii,case,binary,side,0,41\n"
    )
    (ref,) = load_table(table(tmp_path, text))
    root = tmp_path.resolve()
    assert ref.bmode == root / "us" / "a.nii"
    assert ref.swe == root.parent / "swe" / "a.nii"
    assert ref.masks == {"manual": root / "m.nii", "manual:AB": Path("/abs/m2.nii")}
    assert (ref.scan_id, ref.subject, ref.swe_unit) == ("s1", "p1", "kPa")
    assert (ref.label, ref.label_type, ref.label_unit, ref.fold) == ("case", "binary", "side", "0")
    assert ref.strata == {"visit": "1", "side": "L", "age": "41"}


def test_what_may_be_left_out(tmp_path: Path) -> None:
    (ref,) = load_table(table(tmp_path, "scan_id,subject,bmode\ns1,p1,a.nii\n"))
    assert ref.label is None
    assert ref.swe is None
    assert ref.masks == {}
    assert (ref.label_type, ref.label_unit) == ("binary", "subject")


@pytest.mark.parametrize(("mark", "name"), [(",", "a.csv"), (";", "a.csv"), ("\t", "a.csv"), ("\t", "a.tsv")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_marks_and_line_ends(mark: str, name: str, encoding: str, end: str, tmp_path: Path) -> None:
    rows = ["scan_id,subject,bmode,note", 's1,p1,a.nii,"x;y;z;w;v"', "", "s2,p1,b.nii,Ärger"]
    text = end.join(row.replace(",", mark) for row in rows) + end
    refs = load_table(table(tmp_path, text, name, encoding))
    assert [r.scan_id for r in refs] == ["s1", "s2"]
    assert [r.strata["note"] for r in refs] == ["x;y;z;w;v", "Ärger"]


def test_cells_may_be_quoted_and_hold_line_ends(tmp_path: Path) -> None:
    text = 'scan_id,subject,bmode,note\ns1,p1,"a, b.nii","one\ntwo"\ns2,p2,b.nii,\n'
    refs = load_table(table(tmp_path, text))
    assert refs[0].bmode is not None
    assert refs[0].bmode.name == "a, b.nii"
    assert refs[0].strata["note"] == "one\ntwo"


def test_columns_of_another_name(tmp_path: Path) -> None:
    path = table(tmp_path, "id,patient,path_us\ns1,p1,a.nii\n")
    (ref,) = load_table(path, columns={"scan_id": "id", "subject": "patient", "bmode": "path_us"})
    assert (ref.scan_id, ref.subject, ref.strata) == ("s1", "p1", {})
    assert "no column 'nope'" in faults(path, columns={"bmode": "nope"})
    assert "exists already" in faults(path, columns={"id": "patient"})
    assert "two of ours" in faults(path, columns={"bmode": "path_us", "swe": "path_us"})


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    columns = {"scan_id": ["s1", "s2"], "subject": ["p1", "p2"], "bmode": ["a.nii", "b.nii"], "age": [41.0, None]}
    pq.write_table(pa.table(columns), tmp_path / "cohort.parquet")
    refs = load_table(tmp_path / "cohort.parquet")
    assert [r.strata["age"] for r in refs] == ["41", ""]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    assert "not a readable Parquet table" in faults(tmp_path / "bad.parquet")


def test_every_fault_is_listed(tmp_path: Path) -> None:
    rows = [
        ",p1,a.nii,,,case",  # 2
        "s 2,p2,a.nii,,,case",  # 3
        "s3,,a.nii,,,case",  # 4
        "s4,p4,,,,case",  # 5
        "s5,p5,a.nii,b.nii,,case",  # 6
        "s6,p6,a.nii,b.nii,mm/s,case",  # 7
        "S6,p7,a.nii,,,control",  # 8
        "s8,P7,a.nii,,,control",  # 9
        "s9,p9,http://x/a.nii,,,control",  # 10
        "../x,p10,a.nii,,,control",  # 11
        "=cmd(),p11,a.nii,,,control",  # 12
        "s12,p12,a.nii,,,case",  # 13
        "s13,p12,a.nii,,,control",  # 14
        f"{'x' * 65},p14,a.nii,,,control",  # 15
    ]
    text = faults(table(tmp_path, HEAD + "\n".join(rows)))
    for piece in (
        "13 problem(s)", "row 2: scan_id is empty", "row 3: scan_id 's 2'", "row 4: subject is empty", "row 5: neither",
        "row 6: swe is given without swe_unit", "row 7: swe_unit 'mm/s'", "rows 7, 8: the same scan_id 's6'",
        "rows 8, 9: one subject spelled 'P7', 'p7'", "row 10: bmode", "row 11: scan_id '../x'",
        "row 12: scan_id '=cmd()'",
        "rows 13, 14: subject 'p12' has the labels 'case', 'control'", "row 15: scan_id",
    ):  # fmt: skip
        assert piece in text


def test_label_faults(tmp_path: Path) -> None:
    head = "scan_id,subject,bmode,label,label_type,label_unit,side\n"
    rows = ["s1,p1,a,x,metric,subject,", "s2,p2,a,x,,limb,", "s3,p3,a,y,,side,", "s4,p4,a,z,,,", "s5,p5,a,w,,,"]
    text = faults(table(tmp_path, head + "\n".join(rows)))
    for piece in (
        "row 2: label_type 'metric'", "row 3: label_unit 'limb'", "row 4: label_unit is 'side', but side is empty",
        "label_type is binary, but 4 labels are used: 'w', 'x', 'y', 'z'",
    ):  # fmt: skip
        assert piece in text
    assert "no column label" in faults(table(tmp_path, "scan_id,subject,bmode,label_type\ns1,p1,a,binary\n"))


def test_labels_by_side_may_differ_within_a_subject(tmp_path: Path) -> None:
    text = "scan_id,subject,bmode,side,label,label_unit\ns1,p1,a,L,case,side\ns2,p1,b,R,control,side\n"
    assert len(load_table(table(tmp_path, text))) == 2


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("", "holds 0 bytes"),
        (HEAD, "no rows"),
        ("scan_id,subject\ns1,p1\n", "no column 'bmode' or 'swe'"),
        ("subject,bmode\np1,a\n", "no column 'scan_id'"),
        ("scan_id,subject,bmode,bmode\ns1,p1,a,b\n", "named 2 times"),
        ("scan_id,subject,bmode,\ns1,p1,a,b\n", "has no name"),
        ("scan_id,subject,bmode,swe_validity\ns1,p1,a,v.nii\n", "swe_validity is not read"),
        ("scan_id,subject,bmode,mask:A B\ns1,p1,a,b\n", "the rater must match"),
        (HEAD + "s1,p1,a\n" + HEAD + "s2,p2,a,,,,,\n", "row 2: 3 cells, the header has 6"),
        (HEAD + 's1,p1,"a\n', "not a readable table"),
        (HEAD + "s1,p1,a\0b,,,\n", "NUL"),
    ],
)
def test_tables_that_cannot_be(text: str, piece: str, tmp_path: Path) -> None:
    assert piece in faults(table(tmp_path, text))


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    assert "no such file" in faults(tmp_path / "no.csv")
    assert "expected a .csv" in faults(table(tmp_path, HEAD, "a.xlsx"))
    assert "expected UTF-8" in faults(table(tmp_path, HEAD, encoding="utf-16"))


def test_ids_are_refused_not_altered(tmp_path: Path) -> None:
    for bad in (".hidden", "-x", "a/b", "a\\b", "ſ", "café", "a\u0301", "١"):
        assert "does not match" in faults(table(tmp_path, f"scan_id,subject,bmode\n{bad},p1,a\n"))
