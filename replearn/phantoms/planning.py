"""The plan of an image before its first pixel: a scene, its findings, a seed for each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod

import numpy as np

from replearn.phantoms import (
    ct_abdomen,
    ct_chest,
    ct_head,
    ct_pelvis,
    mr,
    ultrasound,
    xray_abdomen,
    xray_breast,
    xray_chest,
    xray_limbs,
    xray_pelvis,
    xray_skull,
    xray_spine,
)
from replearn.phantoms.concepts import CONCEPTS
from replearn.phantoms.scene import Finding, Scene

_MOST_CONCEPTS = 8  # on one image
_LIKELIEST = 0.85  # the chance of a finding never exceeds this

# The order is part of what an index and a seed mean, as is that of each scene's findings.
_SCENES: tuple[Scene, ...] = (
    *xray_chest.SCENES,
    *xray_abdomen.SCENES,
    *xray_skull.SCENES,
    *xray_pelvis.SCENES,
    *xray_spine.SCENES,
    *xray_limbs.SCENES,
    *xray_breast.SCENES,
    *ct_chest.SCENES,
    *ct_abdomen.SCENES,
    *ct_pelvis.SCENES,
    *ct_head.SCENES,
    *mr.SCENES,
    *ultrasound.SCENES,
)
_SHARES = np.cumsum([scene.weight for scene in _SCENES]) / sum(s.weight for s in _SCENES)

# What makes a finding drawn later likelier, and by how much (0: the two exclude each other).
_COMPANY: dict[tuple[str, str], float] = {
    ("Cardiomegaly", "Pleural effusion"): 2.0,
    ("Cardiomegaly", "Oedema"): 3.0,
    ("Cardiomegaly", "Pacemaker"): 3.0,
    ("Cardiomegaly", "Sternotomy wires"): 2.0,
    ("Pneumothorax", "Chest tube"): 6.0,
    ("Pleural effusion", "Atelectasis"): 2.0,
    ("Pleural effusion", "Central venous catheter"): 2.0,
    ("Central venous catheter", "Nasogastric tube"): 2.5,
    ("Mass", "Lymphadenopathy"): 2.5,
    ("Mass", "PET/CT"): 2.0,
    ("Mass", "Microcalcification"): 1.6,
    ("Neoplasm", "Oedema"): 2.5,
    ("Neoplasm", "Contrast media"): 1.8,
    ("Neoplasm", "Ascites"): 2.0,
    ("Fracture", "Internal fixation"): 2.5,
    ("Kidney stone", "Hydronephrosis"): 2.5,
    ("Kidney stone", "Stent"): 2.0,
    ("Osteophyte", "Osteoarthritis"): 2.0,
    ("Hydrocephalus", "Haemorrhage"): 1.8,
    ("Osteoarthritis", "Joint prosthesis"): 0.0,  # the worn joint is gone
    ("Intestinal obstruction", "Calcification"): 0.0,  # the loops would hide the aorta
}


@dataclass(frozen=True)
class Plan:
    """The plan of an image: a scene, the findings in it, and a seed for each part."""

    scene: Scene
    findings: tuple[Finding, ...]
    seeds: tuple[int, ...]  # of the anatomy, the acquisition, then of each finding

    @property
    def concepts(self) -> tuple[str, ...]:
        """The ids of everything shown, in the order of `CONCEPTS`."""
        names = {*self.scene.names, *(finding.name for finding in self.findings)}
        return tuple(cui for cui, name in CONCEPTS.items() if name in names)


def plan(index: int, seed: int) -> Plan:
    """Settle what image `index` of the set named by `seed` shows."""
    rng = np.random.default_rng([seed, index])
    scene = _SCENES[int(np.searchsorted(_SHARES, rng.random(), side="right"))]
    illness = float(np.exp(rng.normal(-0.1, 0.5)))
    found: list[Finding] = []
    for finding in scene.findings:
        company = prod(_COMPANY.get((other.name, finding.name), 1.0) for other in found)
        if rng.random() < min(finding.chance * illness * company, _LIKELIEST):
            found.append(finding)
    room = _MOST_CONCEPTS - len(scene.names)
    kept = sorted(rng.permutation(len(found))[:room])  # in the order of the table
    seeds = rng.integers(2**62, size=len(kept) + 2)
    return Plan(scene, tuple(found[k] for k in kept), tuple(int(s) for s in seeds))


def frequencies(count: int, seed: int = 0) -> dict[str, float]:
    """Each concept's share of the first `count` images of a set, without drawing them."""
    tally = Counter(cui for index in range(count) for cui in plan(index, seed).concepts)
    return {cui: tally[cui] / count for cui in CONCEPTS}
