// SPDX-License-Identifier: BSD-3-Clause
//! The plugins and filters of this build. The one place where they are named.

use nbdkit_filter::FilterEntry;
use nbdkit_plugin::PluginEntry;

/// The plugins of this build.
pub static PLUGINS: &[&PluginEntry] = &[
    #[cfg(feature = "curl")]
    &nbdkit_curl_plugin::PLUGIN,
    #[cfg(feature = "data")]
    &nbdkit_data_plugin::PLUGIN,
    #[cfg(feature = "eval")]
    &nbdkit_eval_plugin::PLUGIN,
    #[cfg(feature = "example1")]
    &nbdkit_example1_plugin::PLUGIN,
    #[cfg(feature = "example2")]
    &nbdkit_example2_plugin::PLUGIN,
    #[cfg(feature = "example3")]
    &nbdkit_example3_plugin::PLUGIN,
    #[cfg(feature = "file")]
    &nbdkit_file_plugin::PLUGIN,
    #[cfg(feature = "full-plugin")]
    &nbdkit_full_plugin::PLUGIN,
    #[cfg(feature = "info")]
    &nbdkit_info_plugin::PLUGIN,
    #[cfg(feature = "memory")]
    &nbdkit_memory_plugin::PLUGIN,
    #[cfg(feature = "nbd")]
    &nbdkit_nbd_plugin::PLUGIN,
    #[cfg(feature = "null")]
    &nbdkit_null_plugin::PLUGIN,
    #[cfg(feature = "ones")]
    &nbdkit_ones_plugin::PLUGIN,
    #[cfg(feature = "pattern")]
    &nbdkit_pattern_plugin::PLUGIN,
    #[cfg(feature = "random")]
    &nbdkit_random_plugin::PLUGIN,
    #[cfg(feature = "sh")]
    &nbdkit_sh_plugin::PLUGIN,
    #[cfg(feature = "sparse-random")]
    &nbdkit_sparse_random_plugin::PLUGIN,
    #[cfg(feature = "split")]
    &nbdkit_split_plugin::PLUGIN,
    #[cfg(feature = "ssh")]
    &nbdkit_ssh_plugin::PLUGIN,
    #[cfg(feature = "zero")]
    &nbdkit_zero_plugin::PLUGIN,
];

/// The filters of this build.
pub static FILTERS: &[&FilterEntry] = &[
    #[cfg(feature = "blocksize")]
    &nbdkit_blocksize_filter::FILTER,
    #[cfg(feature = "blocksize-policy")]
    &nbdkit_blocksize_policy_filter::FILTER,
    #[cfg(feature = "cache")]
    &nbdkit_cache_filter::FILTER,
    #[cfg(feature = "cacheextents")]
    &nbdkit_cacheextents_filter::FILTER,
    #[cfg(feature = "checkwrite")]
    &nbdkit_checkwrite_filter::FILTER,
    #[cfg(feature = "cow")]
    &nbdkit_cow_filter::FILTER,
    #[cfg(feature = "delay")]
    &nbdkit_delay_filter::FILTER,
    #[cfg(feature = "error")]
    &nbdkit_error_filter::FILTER,
    #[cfg(feature = "exitlast")]
    &nbdkit_exitlast_filter::FILTER,
    #[cfg(feature = "exitwhen")]
    &nbdkit_exitwhen_filter::FILTER,
    #[cfg(feature = "exportname")]
    &nbdkit_exportname_filter::FILTER,
    #[cfg(feature = "fua")]
    &nbdkit_fua_filter::FILTER,
    #[cfg(feature = "ip")]
    &nbdkit_ip_filter::FILTER,
    #[cfg(feature = "limit")]
    &nbdkit_limit_filter::FILTER,
    #[cfg(feature = "log")]
    &nbdkit_log_filter::FILTER,
    #[cfg(feature = "multi-conn")]
    &nbdkit_multi_conn_filter::FILTER,
    #[cfg(feature = "nocache")]
    &nbdkit_nocache_filter::FILTER,
    #[cfg(feature = "noextents")]
    &nbdkit_noextents_filter::FILTER,
    #[cfg(feature = "nofilter")]
    &nbdkit_nofilter_filter::FILTER,
    #[cfg(feature = "noparallel")]
    &nbdkit_noparallel_filter::FILTER,
    #[cfg(feature = "nozero")]
    &nbdkit_nozero_filter::FILTER,
    #[cfg(feature = "offset")]
    &nbdkit_offset_filter::FILTER,
    #[cfg(feature = "partition")]
    &nbdkit_partition_filter::FILTER,
    #[cfg(feature = "pause")]
    &nbdkit_pause_filter::FILTER,
    #[cfg(feature = "rate")]
    &nbdkit_rate_filter::FILTER,
    #[cfg(feature = "readahead")]
    &nbdkit_readahead_filter::FILTER,
    #[cfg(feature = "readonly")]
    &nbdkit_readonly_filter::FILTER,
    #[cfg(feature = "retry")]
    &nbdkit_retry_filter::FILTER,
    #[cfg(feature = "retry-request")]
    &nbdkit_retry_request_filter::FILTER,
    #[cfg(feature = "scan")]
    &nbdkit_scan_filter::FILTER,
    #[cfg(feature = "stats")]
    &nbdkit_stats_filter::FILTER,
    #[cfg(feature = "tls-fallback")]
    &nbdkit_tls_fallback_filter::FILTER,
    #[cfg(feature = "truncate")]
    &nbdkit_truncate_filter::FILTER,
];
