#compdef nbdkit
# SPDX-License-Identifier: BSD-3-Clause
# Completions of nbdkit for zsh.

_nbdkit_plugins() {
    local -a plugins=(
@plugins@
    )
    _describe -t plugins plugin plugins
}

_nbdkit_filters() {
    local -a filters=(
@filters@
    )
    _describe -t filters filter filters
}

# The keys of a plugin or filter, into the array `keys`.
_nbdkit_keys() {
    case $1 in
@keys@
    esac
}

# The values of a key.
_nbdkit_values() {
    case $1 in
@values@
    esac
}

# The plugin is $1, the filters are behind it.
_nbdkit_parameters() {
    local layer
    local -a keys layers=(plugin:$1 filter:${^@[2,-1]})
    if compset -P 1 '*='; then
        for layer in $layers; do
            _nbdkit_values $layer:${IPREFIX%=}
        done
        return
    fi
    for layer in $layers; do
        _nbdkit_keys $layer
    done
    _describe -t parameters parameter keys -qS =
    _nbdkit_values plugin:$1:
}

_nbdkit() {
    local context state state_descr line
    local -A opt_args
    _arguments -C -s \
@options@
        '1:plugin:_nbdkit_plugins' \
        '*:parameter:->parameter' && return
    if [[ $state == parameter ]]; then
        _nbdkit_parameters $line[1] ${(s.:.)opt_args[--filter]}
    fi
}

_nbdkit "$@"
