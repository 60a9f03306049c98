"""The claim rule: whether one layer is the driver of a cell, every gate it has to pass, and the answer in words."""
