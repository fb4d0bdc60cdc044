"""
Search with optuna, and stop what falls behind
==============================================

A search over learning rate and weight decay in which optuna proposes the values. A
trial that is worse than the others were at the same epoch is ended: its callback raises
an error, and the fit ends with it.
"""

import matplotlib.pyplot as plt
import optuna
from optuna_integration import SkorchPruningCallback
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_cce import CollisionClassifier

optuna.logging.set_verbosity(optuna.logging.WARNING)
X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0)


# %%
# A trial
# -------
# ``early_stopping=True`` holds samples out and notes the share of them that is right,
# ``valid_accuracy``, at every epoch. That is what the trials are compared by.
def objective(trial):
    classifier = CollisionClassifier(
        lr=trial.suggest_float("lr", 1e-5, 1e-1, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-4, 1.0, log=True),
        max_epochs=20,
        early_stopping=True,
        callbacks=[SkorchPruningCallback(trial, "valid_accuracy")],
        random_state=0,
    )
    return max(classifier.fit(X, y).history_[:, "valid_accuracy"])


# %%
# The search
# ----------
study = optuna.create_study(
    direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=3),
)
study.optimize(objective, n_trials=20)
pruned = [t for t in study.trials if t.state == optuna.trial.TrialState.PRUNED]
print(f"{len(pruned)} of {len(study.trials)} trials were ended early")
print(f"best: {study.best_value:.3f} on held-out samples, with {study.best_params}")

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for trial in study.trials:
    color = "tab:red" if trial in pruned else "tab:blue"
    ax.plot(*zip(*trial.intermediate_values.items(), strict=True), color=color, lw=1)
ax.set(xlabel="epoch", ylabel="share of held-out samples that are right")
ax.set_title("Trials that were completed (blue) and ended early (red)")
plt.show()

# %%
# The best, on samples that the search has not seen
# -------------------------------------------------
best = CollisionClassifier(**study.best_params, max_epochs=20, random_state=0)
print(f"accuracy {best.fit(X, y).score(X_test, y_test):.3f}")
