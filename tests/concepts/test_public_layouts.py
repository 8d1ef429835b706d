"""Label files of well-known public sets: their headers and habits, with rows made up."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replearn.concepts.table import read_concepts, read_ids, read_with_layout
from replearn.errors import DataError
from tests.concepts.conftest import Write

NIH = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
    "00000001_000.png,Cardiomegaly,0,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
    "00000001_001.png,Cardiomegaly|Emphysema,1,1,058Y,M,PA,2894,2729,0.143,0.143,\n"
    "00000002_000.png,No Finding,0,2,081Y,M,PA,2500,2048,0.171,0.171,\n"
)
NIH_BOXES = (
    "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
    "00013118_008.png,Atelectasis,225.0,547.0,86.7,79.1,,,\n"
    "00013118_008.png,Effusion,225.0,547.0,86.7,79.1,,,\n"
    "00014716_007.png,Atelectasis,686.1,131.5,185.4,313.4,,,\n"
)
PADCHEST = (
    ",ImageID,ImageDir,StudyID,PatientID,PixelRepresentation_DICOM,Report,MethodLabel,Labels,"
    "Localizations,LabelsLocalizationsBySentence,labelCUIS\n"
    '0,2053_k6ga29.png,0,2053,8398,0,"sin , ""dos"" .",Physician,[\'normal\'],[],[[\'normal\']],'
    "['C0205307']\n"
    "1,1358_fzis7d.png,0,1358,3135,1,cambi .,Physician,\"['kyphosis', ' aortic, elongated']\","
    "\"['loc basal']\",\"[['kyphosis']]\",\"['C0034069' 'C0742362'\n 'C3544344']\"\n"
    "2,1138_3k951l.png,0,1138,5078,0,,Physician,nan,,,nan\n"
)
VINDR = (
    "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n"
    "50a4,No finding,14,R11,,,,\n"
    "21a1,Nodule/Mass,3,R9,691.0,1375.0,1653.0,1831.0\n"
    "21a1,Opacity, 3,R9,691.0,1375.0,1653.0,1831.0\n"
    "21a1,Nodule/Mass,3,R10,691.0,1375.0,1653.0,1831.0\n"
)
VINDR_IMAGES = (
    "image_id,rad_id,Aortic enlargement,Cardiomegaly,No finding\n"
    "a1,R8,0,1,0\na1,R9,0,1,0\nb1,R9,0,0,1\n"
)
ISIC = (
    "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n"
    "ISIC_0024306,0.0,1.0,0.0,0.0,0.0,0.0,0.0\nISIC_0024307,0.0,0.0,0.0,0.0,1.0,0.0,0.0\n"
)
HAM10000 = (
    "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
    "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp\n"
    "HAM_0000118,ISIC_0025030,mel,histo,80.0,male,scalp\n"
)
VINDR_MAMMO = (
    "study_id,image_id,laterality,finding_categories,xmin\n"
    "48f1,4e3a,L,\"['Mass', 'Skin Thickening']\",2355.1\n48f1,4e3a,L,['Mass'],2386.2\n"
    "dac3,2ddb,R,['No Finding'],\n"
)
RSNA = (
    "patientId,x,y,width,height,Target\n"
    "0004,,,,,0\n0043,264.0,152.0,213.0,379.0,1\n0043,562.0,152.0,256.0,453.0,1\n"
)
RSNA_CLASSES = (
    "patientId,class\n0004,No Lung Opacity / Not Normal\n0043,Lung Opacity\n0043,Lung Opacity\n"
)
ODIR = (
    "ID,Patient Age,N,D,filepath,labels,target,filename\n"
    "0,69,1,0,../0_right.jpg,['N'],\"[1, 0]\",0_right.jpg\n"
    "1,57,0,1,../1_right.jpg,['D'],\"[0, 1]\",1_right.jpg\n"
)

CHEXPERT_PLUS = (
    "path_to_image,path_to_dcm,frontal_lateral,deid_patient_id,No Finding,Edema\n"
    "train/p1/s1/view1.jpg,train/p1/s1/view1.dcm,Frontal,p1,1.0,\n"
    "train/p2/s1/view1.jpg,train/p2/s1/view1.dcm,Frontal,p2,,1.0\n"
)
NIH_LONG_TAIL = "id,Atelectasis,Edema,subj_id\n1_000.png,1,0,1\n1_001.png,0,1,0\n"
EYEPACS = "image,level\n10_left,0\n10_right,3\n"

READ = {
    "nih": (NIH, [("Cardiomegaly",), ("Cardiomegaly", "Emphysema"), ("No Finding",)],
            "ids in `Image Index`, concepts in `Finding Labels`, `|` between concepts, "
            "not used: `Follow-up #`, `Patient ID`, `Patient Age`, `Patient Gender`, ... (9)"),
    "nih boxes": (NIH_BOXES, [("Atelectasis", "Effusion"), ("Atelectasis",)],
                  "a row for each concept, ids in `Image Index`, concepts in `Finding Label`, "
                  "not used: `Bbox [x`, `y`, `w`, `h]`, 3 rows"),
    "padchest": (PADCHEST, [("normal",), ("kyphosis", "aortic, elongated"), ()],
                 "ids in `ImageID`, concepts in `Labels`, not used: `ImageDir`, `StudyID`, "
                 "`PatientID`, `PixelRepresentation_DICOM`, ... (9), lists in text, "
                 "1 x `nan` is no concept"),
    "vindr": (VINDR, [("No finding",), ("Nodule/Mass", "Opacity")],
              "a row for each concept, ids in `image_id`, concepts in `class_name`, "
              "not used: `class_id`, `rad_id`, `x_min`, `y_min`, ... (6), 4 rows"),
    "vindr images": (VINDR_IMAGES, [("Cardiomegaly",), ("No finding",)],
                     "a column for each concept: `Aortic enlargement`, `Cardiomegaly`, "
                     "`No finding`, ids in `image_id`, not used: `rad_id`, "
                     "1 is shown, 0 and blank are not"),
    "isic": (ISIC, [("NV",), ("BKL",)],
             "a column for each concept: `MEL`, `NV`, `BCC`, `AKIEC`, ... (7), ids in `image`, "
             "1 is shown, 0 and blank are not"),
    "ham10000": (HAM10000, [("bkl",), ("mel",)],
                 "ids in `image_id`, concepts in `dx`, `;` between concepts, not used: "
                 "`lesion_id`, `dx_type`, `age`, `sex`, ... (5)"),
    "rsna": (RSNA, [(), ("Target",)],
             "a column for each concept: `Target`, ids in `patientId`, not used: `x`, `y`, "
             "`width`, `height`, 1 is shown, 0 and blank are not"),
    "rsna classes": (RSNA_CLASSES, [("No Lung Opacity / Not Normal",), ("Lung Opacity",)],
                     "a row for each concept, ids in `patientId`, concepts in `class`, 3 rows"),
    "odir": (ODIR, [("N",), ("D",)],
             "ids in `filepath`, concepts in `labels`, not used: `ID`, `Patient Age`, `N`, `D`, "
             "... (6), lists in text"),
    "chexpert plus": (CHEXPERT_PLUS, [("No Finding",), ("Edema",)],
                      "a column for each concept: `No Finding`, `Edema`, ids in `path_to_image`, "
                      "not used: `path_to_dcm`, `frontal_lateral`, `deid_patient_id`, "
                      "1 is shown, 0 and blank are not"),
    "nih long tail": (NIH_LONG_TAIL, [("Atelectasis",), ("Edema",)],
                      "a column for each concept: `Atelectasis`, `Edema`, ids in `id`, "
                      "not used: `subj_id`, 1 is shown, 0 and blank are not"),
    "eyepacs": (EYEPACS, [("0",), ("3",)],
                "comma after the id, `;` between concepts, header `image` `level`"),
}  # fmt: skip
IDS = {
    "chexpert plus": ["train/p1/s1/view1.jpg", "train/p2/s1/view1.jpg"],
    "nih long tail": ["1_000.png", "1_001.png"],
    "eyepacs": ["10_left", "10_right"],
    "nih": ["00000001_000.png", "00000001_001.png", "00000002_000.png"],
    "nih boxes": ["00013118_008.png", "00014716_007.png"],
    "padchest": ["2053_k6ga29.png", "1358_fzis7d.png", "1138_3k951l.png"],
    "vindr": ["50a4", "21a1"],
    "vindr images": ["a1", "b1"],
    "isic": ["ISIC_0024306", "ISIC_0024307"],
    "ham10000": ["ISIC_0027419", "ISIC_0025030"],
    "rsna": ["0004", "0043"],
    "rsna classes": ["0004", "0043"],
    "odir": ["../0_right.jpg", "../1_right.jpg"],
}


def test_lists_in_several_rows_of_an_image_are_joined_where_that_is_asked(write: Write) -> None:
    path = write(VINDR_MAMMO)
    with pytest.raises(
        DataError, match=r"the id '4e3a' stands already in line 2; .* --layout rows"
    ):
        read_concepts(path)
    table = read_concepts(path, layout="rows")
    assert table.concepts == [("Mass", "Skin Thickening"), ("No Finding",)]


@pytest.mark.parametrize("name", READ)
def test_the_files_of_public_sets_are_read_as_their_authors_mean_them(
    name: str, write: Write
) -> None:
    text, concepts, described = READ[name]
    layout, table = read_with_layout(write(text))
    assert table.ids == IDS[name]
    assert table.concepts == concepts
    assert str(layout) == described
    assert read_ids(write(text)) == IDS[name]


@pytest.mark.parametrize("name", READ)
def test_byte_order_marks_line_ends_and_compression_change_nothing(name: str, write: Write) -> None:
    text, concepts, _ = READ[name]
    windows = "\ufeff" + text.replace("\n", "\r\n")
    for content in (windows.encode(), gzip.compress(text.encode()), text.rstrip("\n").encode()):
        table = read_concepts(write(content))
        assert table.ids == IDS[name]
        assert table.concepts == concepts


CHEXPERT = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Cardiomegaly,Lung Opacity\n"
    "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,\n"
    "CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg,Male,0,Frontal,AP,,-1.0,1.0\n"
    "CheXpert-v1.0-small/train/patient00002/study1/view2_lateral.jpg,Male,1,Lateral,,0.0,0.0,-1\n"
)


def test_what_uncertain_means_is_asked_for_and_told(write: Write) -> None:
    path = write(CHEXPERT)
    with pytest.raises(DataError) as refusal:
        read_concepts(path)
    assert str(refusal.value) == (
        f"{path}: line 3: -1 (uncertain) in `Cardiomegaly`: give --uncertain absent or --uncertain "
        "present, which says how all of them count"
    )
    absent = read_concepts(path, uncertain="absent").concepts
    present = read_concepts(path, uncertain="present").concepts
    assert absent == [("No Finding",), ("Lung Opacity",), ()]
    assert present == [("No Finding",), ("Cardiomegaly", "Lung Opacity"), ("Lung Opacity",)]
    assert read_ids(path)[2] == "CheXpert-v1.0-small/train/patient00002/study1/view2_lateral.jpg"


def test_studies_without_images_are_read_by_the_column_that_is_named(write: Write) -> None:
    path = write(
        "subject_id,study_id,Atelectasis,Cardiomegaly\n"
        "10000032,50414267,,\n10000032,53189527,1.0,0.0\n10000764,57375967,,1.0\n"
    )
    for read in (read_concepts, read_ids):
        with pytest.raises(
            DataError, match=r"which column names the images.* subject_id, study_id"
        ):
            read(path)
    table = read_concepts(path, columns=["study_id"])
    assert table.ids == ["50414267", "53189527", "57375967"]
    assert table.concepts == [(), ("Atelectasis",), ("Cardiomegaly",)]


def test_medical_files_in_a_spreadsheet_s_european_form_are_read(write: Write) -> None:
    listed = write("image;labels\n1.png;Edema,Effusion\n2.png;Edema\n", "a.csv")
    assert read_concepts(listed).concepts == [("Edema", "Effusion"), ("Edema",)]
    stated = write("sep=;\nimage;Edema;Effusion\n1.png;1,0;0,0\n2.png;0,0;1,0\n", "b.csv")
    assert read_concepts(stated).concepts == [("Edema",), ("Effusion",)]


def test_parquet_says_the_same_as_text(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "image_id": ["a", "b", "a"],
        "Edema": [1.0, None, 1.0],
        "Cyst": [True, False, True],
        "age": [5, 60, 5],
    }
    path = tmp_path / "table.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    layout, table = read_with_layout(path)
    assert dict(zip(table.ids, table.concepts, strict=True)) == {"a": ("Edema", "Cyst"), "b": ()}
    assert str(layout) == (
        "Parquet, a column for each concept: `Edema`, `Cyst`, ids in `image_id`, not used: `age`, "
        "1 is shown, 0 and blank are not"
    )


def test_labels_are_read_from_arrays_by_the_numbers_of_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "breastmnist.npz"
    images = np.zeros((2, 4, 4), np.uint8)
    train, val = np.array([[1], [0]], np.uint8), np.array([[2]])
    np.savez(path, train_images=images, train_labels=train, val_images=images, val_labels=val)
    layout, table = read_with_layout(path)
    assert table.ids == ["train-000000000", "train-000000001", "val-000000000"]
    assert table.concepts == [("1",), ("0",), ("2",)]
    assert str(layout) == "NumPy, ids in `id`, concepts in `classes`, lists in text"
    np.savez(path, images=images, labels=np.array([[0, 1, 1], [0, 0, 0]], bool))
    table = read_concepts(path)
    assert table.ids == ["000000000", "000000001"]
    assert table.concepts == [("1", "2"), ()]
    assert read_ids(path) == table.ids


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": np.zeros((2, 4, 4))}, "no labels among its arrays images"),
        ({"labels": np.zeros((2, 3, 4), int)}, r"labels int64 \[2, 3, 4\]"),
        ({"labels": np.array([0.5])}, r"labels float64 \[1\]"),
        ({"labels": np.array([[0, 2]])}, "other values than 0 and 1"),
    ],
)
def test_arrays_without_labels_are_refused(
    arrays: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=words):
        read_concepts(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="not readable as arrays"):
        read_concepts(path)
