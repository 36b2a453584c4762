// SPDX-License-Identifier: BSD-3-Clause
//! caching: says here what these tests prove.
