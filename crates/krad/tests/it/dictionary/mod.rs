//! Dictionaries: the format, what is refused, what values look like, and the dictionaries of FreeRADIUS.

mod debian;
mod display;
mod encode;
mod format;
