// SPDX-License-Identifier: BSD-3-Clause
//! The kit that the tests of every plugin run.
