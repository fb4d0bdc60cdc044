"""The exact solver, in the order in which a problem passes through it.

``_solver`` tries the cheapest way first. Every answer is certified on the whole
problem, and the next way is taken where the certificate does not hold.

===================  ===================================================================
``_two_classes``     two classes are a search over one number
``_merge``           rows that are equal or nearly one-hot become one weighted row
``_lists``           a row may use few classes, and a pool of the others
``_newton``          Newton's method on the K prices alone
``_path``            the interior point: the path that is followed, and how far ...
``_chunk``           ... its equations for a chunk of rows
``_pool``            ... and for the pool that rows with lists share
``_labels``          labels that make their rows when asked for them
===================  ===================================================================

Symbols, those of docs/convergence.rst. Row i, class k; one letter here is one word in
the code:

=================  ================  ===================================================
N, K               ``n_samples``,    rows and classes
                   ``n_classes``
s_ik               ``values``        prediction; ``probabilities`` where not restricted
y_ik               ``labels``        label, at least 0, with sum 1 over k
w_i / N            ``share``         weight of a row; they sum to 1
lambda u_k         ``pull``          fairness weight times prior
ybar_k             ``mean``          mean label, sum over i of w_i y_ik / N
nu_k               ``prices``        lambda u_k / ybar_k at the optimum
t_i                ``t``             1 / (s_i . y_i) at the optimum
theta_i            ``theta``         multiplier of the sum of a label
t_i s_ik + nu_k    ``lines``         of a row, K lines in t; the highest is ``height``
z_ik               ``slack``         theta_i - t_i s_ik - nu_k, 0 where y_ik > 0
level              ``level``         what the path has for y_ik z_ik in place of 0
q_ik               ``ratio``         y_ik / z_ik: how much a label gives way to a price
1 . q_i            ``total``         sum of the ratios of a row
q_ik s_ik          ``weighted``
m_i                ``centre``        (q_i . s_i) / (1 . q_i), a mean of the predictions
p_ik               ``tilt``          q_ik (s_ik - m_i)
c_i                ``pivot``         p_i . s_i + (s_i . y_i) / t_i
s_i . y_i          ``match``
r_k                ``received``      what the pool hands to a class, over its share 1/K
=================  ================  ===================================================
"""

from ._solver import solve_exact

__all__ = ["solve_exact"]
