"""Training in NumPy and float64, sharing no code with the package.

Networks are written out, gradients come from complex steps and Adam from its paper. An
oracle reads only the first parameters of the algorithm that it checks.
"""
