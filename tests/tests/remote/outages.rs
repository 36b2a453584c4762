// SPDX-License-Identifier: BSD-3-Clause
//! outages: says here what these tests prove.
