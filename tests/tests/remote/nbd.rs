// SPDX-License-Identifier: BSD-3-Clause
//! nbd: says here what these tests prove.
