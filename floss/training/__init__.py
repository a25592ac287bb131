"""Ensembles of networks in training, with flossing episodes: the reference protocol, without files or screen."""
