//! Layers through all their forms, and against the tools that others use.

mod foreign;
mod forms;
mod hostile;
mod kit;
