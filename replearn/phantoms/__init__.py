"""Labelled synthetic radiographs: a scene grammar from modality and region to findings.

A picture is one scene (a modality, a body region and perhaps a projection or weighting) with the
findings that its table gives a chance.  Chances grow with how ill the imagined patient is and with
what was found already, so findings come in company, as devices come with diseases.  Everything that
a picture's concepts name is drawn in it, and nothing is drawn that they don't name, apart from
nuisance: pose, exposure, noise, collimation and letters.

`planning` settles what an image shows and `rendering` draws it.  What there is to draw stands with
its kind of picture, in `xray_*`, `ct_*`, `mr` and `ultrasound`: anatomies, findings, their chances.
What several kinds share has a file of its own, named after what it is (`brain`, `devices`, ...).
All of it draws on a `canvas`, which `acquisition` turns into the finished picture.
`data_folder` writes many of them to disk.
"""
