// SPDX-License-Identifier: BSD-3-Clause
//! ssh: says here what these tests prove.
