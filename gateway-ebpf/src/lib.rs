//! The safe half of the kernel program: what can be tested on the host.
#![no_std]
#![forbid(unsafe_code)]
