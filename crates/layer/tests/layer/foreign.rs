//! Archives of other tools come in, and other tools read ours.
