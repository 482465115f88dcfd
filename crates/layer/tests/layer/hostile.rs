//! Archives that want out.
