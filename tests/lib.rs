//! Whole-system tests; the library itself holds what several of them build on.
