"""The systems, one module each; importing them needs no TensorFlow."""

from npu.errors import ZooError
from npu.zoo.system import System
from npu.zoo.systems import (
    a_score_sheet,
    b_modalities,
    c_masks,
    d_gestures,
    e_neurons,
    f_edge_cloud,
    g_leaves,
    h_multistage,
    i_families,
    j_spoken,
    k_tiny,
    l_automata,
    m_portable_c,
    n_processes,
    o_lasso,
)

_MODULES = (
    a_score_sheet,
    b_modalities,
    c_masks,
    d_gestures,
    e_neurons,
    f_edge_cloud,
    g_leaves,
    h_multistage,
    i_families,
    j_spoken,
    k_tiny,
    l_automata,
    m_portable_c,
    n_processes,
    o_lasso,
)

SYSTEMS: dict[str, System] = {module.SYSTEM.letter: module.SYSTEM for module in _MODULES}
"""By letter, in their order."""


def find_system(letter: str) -> System:
    """The system of a letter, in either case.

    Raises
    ------
    ZooError : there is none; lists those that there are.
    """
    system = SYSTEMS.get(letter.upper())
    if system is None:
        known = ", ".join(f"{each.letter} ({each.title})" for each in SYSTEMS.values())
        raise ZooError(f"no system {letter!r} in the zoo; there are {known}")
    return system
