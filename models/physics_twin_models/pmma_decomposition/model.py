"""Thermal decomposition of cast poly(methyl methacrylate) in nitrogen, as balances and calorimeters see it.

Three parts of the sample decompose independently, the third with an order n:

    dw_i/dt = -w_i(0) k_i (w_i / w_i(0))^n_i        k_i = k_i,ref exp(-E_i/R (1/T - 1/T_ref,i)),   n_1 = n_2 = 1

Volatiles (monomer, solvent) leave near 460 K, chains with weak links scission near 560 K, the other chains near 640 K.
The states are u_i = -ln(w_i / w_i(0)), du_i/dt = k_i exp(-(n_i - 1) u_i): no mass ever becomes negative, and
first order needs no case of its own. Rates are stated at a temperature in the middle of each loss, where the data
know them: A = k_ref exp(E / (R T_ref)) is correlated with E to more than 0.999.

The thermometer of a furnace is not in the sample. `thermometer_error` is that of a laboratory (calibration, sensor),
`placement_error` that of one run (crucible, powder); the balance has a `tare_error` in each run.
"""

from dataclasses import dataclass

import physics_twin as pt

KINETICS = (
    "volatile_fraction",
    "volatile_rate",
    "volatile_activation_energy",
    "weak_fraction",
    "weak_rate",
    "weak_activation_energy",
    "main_rate",
    "main_activation_energy",
    "main_order",
    "residue_fraction",
)
"""What thermogravimetry determines of the material."""

GAS_CONSTANT = "8.314462618 J/mol/K"  # CODATA 2018
REFERENCES = {"volatile": "460 K", "weak": "560 K", "main": "640 K"}
"""At which the rates are stated: the middle of each loss at 10 K/min."""

_FIT = "fit of the MaCFP thermogravimetry (NIST, FSRI), rounded"


@dataclass(frozen=True)
class _Sample:
    """A decomposing sample: what is left of it and how fast its parts leave, per initial mass."""

    temperature: pt.Expression
    left: pt.Expression
    volatile_loss: pt.Expression
    polymer_loss: pt.Expression


def _sample(m: pt.ProcessBuilder) -> _Sample:
    """Declare temperature, kinetics and states."""
    reading = m.input("temperature", "K", description="of the thermometer beside the sample")
    laboratory = m.input("thermometer_error", "K", description="of a laboratory: thermometer minus sample")
    placement = m.parameter(
        "placement_error",
        "0 K",
        bounds=("-10 K", "10 K"),
        prior=pt.Normal("0 K", "1 K"),
        difference=True,
        description="of one run: thermometer minus sample, beyond the error of the laboratory",
        source="scatter of repeated runs, 0.3 to 0.8 K",
    )
    fractions, rates, energies = (0.0, 0.2), ("1e-6 1/s", "1 1/s"), ("20 kJ/mol", "400 kJ/mol")
    volatile_fraction = m.parameter(
        "volatile_fraction", 0.032, bounds=fractions, description="share that leaves near 460 K", source=_FIT
    )
    volatile_rate = m.parameter(
        "volatile_rate", "6e-3 1/s", bounds=rates, description="rate of the volatiles at 460 K", source=_FIT
    )
    volatile_energy = m.parameter(
        "volatile_activation_energy", "89 kJ/mol", bounds=energies, description="E of the volatiles", source=_FIT
    )
    weak_fraction = m.parameter(
        "weak_fraction", 0.026, bounds=fractions, description="share of chains with weak links", source=_FIT
    )
    weak_rate = m.parameter(
        "weak_rate", "7e-3 1/s", bounds=rates, description="rate of the chains with weak links at 560 K", source=_FIT
    )
    weak_energy = m.parameter(
        "weak_activation_energy",
        "160 kJ/mol",
        bounds=energies,
        description="E of the chains with weak links",
        source=_FIT,
    )
    main_rate = m.parameter(
        "main_rate", "9e-3 1/s", bounds=rates, description="rate of the other chains at 640 K", source=_FIT
    )
    main_energy = m.parameter(
        "main_activation_energy", "208 kJ/mol", bounds=energies, description="E of the other chains", source=_FIT
    )
    order = m.parameter("main_order", 1.4, bounds=(1.0, 3.0), description="order of the main loss", source=_FIT)
    residue = m.parameter(
        "residue_fraction", 0.004, bounds=(0.0, 0.05), description="share that does not decompose", source=_FIT
    )

    temperature = reading - laboratory - placement
    gas = m.constant(GAS_CONSTANT)

    def rate(reference: pt.Expression, energy: pt.Expression, part: str) -> pt.Expression:
        return reference * pt.exp(-energy / gas * (1.0 / temperature - 1.0 / m.constant(REFERENCES[part])))

    volatile = m.state("volatile_progress", "1", initial=0.0, scale=1.0, description="-ln of the share left")
    weak = m.state("weak_progress", "1", initial=0.0, scale=1.0, description="-ln of the share left")
    main = m.state("main_progress", "1", initial=0.0, scale=1.0, description="-ln of the share left")
    k_volatile = rate(volatile_rate, volatile_energy, "volatile")
    k_weak = rate(weak_rate, weak_energy, "weak")
    k_main = rate(main_rate, main_energy, "main") * pt.exp(-(order - 1.0) * main)
    m.rate(volatile, k_volatile)
    m.rate(weak, k_weak)
    m.rate(main, k_main)

    w_volatile = volatile_fraction * pt.exp(-volatile)
    w_weak = weak_fraction * pt.exp(-weak)
    w_main = (1.0 - volatile_fraction - weak_fraction - residue) * pt.exp(-main)
    m.valid("temperature", "300 K", "830 K")
    return _Sample(
        temperature=temperature,
        left=residue + w_volatile + w_weak + w_main,
        volatile_loss=w_volatile * k_volatile,
        polymer_loss=w_weak * k_weak + w_main * k_main,
    )


def pmma_decomposition() -> pt.ProcessModel:
    """Mass of a small sample over the recorded temperature, as share of its initial mass."""
    m = pt.ProcessBuilder(
        "pmma_decomposition", version="1.0", description="Thermogravimetry of PMMA in nitrogen: three parallel losses"
    )
    sample = _sample(m)
    tare = m.parameter(
        "tare_error",
        0.0,
        bounds=(-0.1, 0.1),
        prior=pt.Normal(0.0, 0.01),
        description="what the balance shows too little all along, as share of the initial mass",
        source="final readings of -2.4 to +1.3 percent, sample of 4 to 6 mg",
    )
    m.output("mass_fraction", sample.left, description="mass left, of the initial mass")
    m.output("mass_loss_rate", sample.volatile_loss + sample.polymer_loss, unit="1/s", description="of initial mass")
    m.output("balance_reading", (sample.left - tare) / (1.0 - tare), description="mass shown, of the first mass shown")
    m.valid("mass_fraction", 0.0, 1.0)
    return m.build()


def pmma_calorimetry() -> pt.ProcessModel:
    """Heat flow to a small sample over the recorded temperature (DSC), per initial mass; into the sample is positive.

    q = w c dT/dt + h_v r_v + h (r_weak + r_main) + b + s (T - 600 K)      c = c_500 + c' (T - 500 K)

    with mass w and losses r of `pmma_decomposition`, offset b and slope s of the calorimeter's base line.
    """
    m = pt.ProcessBuilder("pmma_calorimetry", version="1.0", description="Calorimetry of PMMA in nitrogen")
    sample = _sample(m)
    heating_rate = m.input("heating_rate", "K/s", description="of the thermometer")
    source = "MaCFP: 817 kJ/kg (UMD), 914 kJ/kg (NIST-StMU)"
    heat = m.parameter(
        "heat_of_decomposition",
        "850 J/g",
        bounds=("300 J/g", "2000 J/g"),
        description="h, heat taken by what both kinds of chains lose",
        source=source,
    )
    volatile_heat = m.parameter(
        "heat_of_volatilization",
        "400 J/g",
        bounds=("0 J/g", "3000 J/g"),
        description="h_v, heat taken by the volatiles",
        source="monomer: 400 J/g",
    )
    capacity = m.parameter(
        "heat_capacity",
        "2.3 J/g/K",
        bounds=("1 J/g/K", "4 J/g/K"),
        description="c_500 of the melt at 500 K",
        source="MaCFP: 2.39 J/g/K (UMD), 2.13 J/g/K (NIST-StMU)",
    )
    slope = m.parameter(
        "heat_capacity_slope",
        "3e-3 J/g/K^2",
        bounds=("-1e-2 J/g/K^2", "1e-2 J/g/K^2"),
        description="c', of the melt",
        source="MaCFP: 3.07e-3 J/g/K^2 (UMD)",
    )
    offset = m.parameter(
        "baseline_offset",
        "0 W/g",
        bounds=("-2 W/g", "2 W/g"),
        prior=pt.Normal("0 W/g", "0.2 W/g"),
        description="b, base line of the calorimeter at 600 K",
        source="heat flow of empty crucibles after the loss, -0.1 to 0.2 W/g",
    )
    drift = m.parameter(
        "baseline_slope",
        "0 W/g/K",
        bounds=("-1e-2 W/g/K", "1e-2 W/g/K"),
        prior=pt.Normal("0 W/g/K", "5e-4 W/g/K"),
        description="s, of the base line",
        source="heat flow of empty crucibles after the loss",
    )
    sensible = sample.left * (capacity + slope * (sample.temperature - m.constant("500 K"))) * heating_rate
    reaction = heat * sample.polymer_loss + volatile_heat * sample.volatile_loss
    base = offset + drift * (sample.temperature - m.constant("600 K"))
    m.output("heat_flow", sensible + reaction + base, unit="W/g", description="into the sample, per initial mass")
    m.output("mass_fraction", sample.left, description="mass left, of the initial mass")
    m.valid("mass_fraction", 0.0, 1.0)
    return m.build()
