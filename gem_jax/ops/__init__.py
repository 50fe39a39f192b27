"""Arrays in, arrays out: the mathematics, without parameters or networks.

Needs jax alone. Equation numbers are those of the GEM paper unless said otherwise.
"""
