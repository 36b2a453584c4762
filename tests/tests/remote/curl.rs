// SPDX-License-Identifier: BSD-3-Clause
//! curl: says here what these tests prove.
