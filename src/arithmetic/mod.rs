//! The calculator's language: Python's arithmetic, to the byte, without running code.
