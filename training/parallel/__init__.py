"""One model on several processes: who they are, and how the gradients of an update's lanes become one.

A **lane** is a fixed share of an update's rows. How many there are is a setting, as it decides the bits; how many
processes share them out is not. Needs torch only where processes talk.
"""
