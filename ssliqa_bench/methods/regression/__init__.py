"""Learners made for regression: consistency, pseudo-labels and ranking of scores, one learner per file.

Each takes the same batches of labeled images and adds a term on unlabeled ones; its comparator leaves that term out and
keeps everything else, weight average and number of networks included.
"""
