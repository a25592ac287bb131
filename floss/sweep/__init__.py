"""Many networks on disk: from jobs to ensembles, what is computed already, and computing the rest."""
