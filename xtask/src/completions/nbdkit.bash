# SPDX-License-Identifier: BSD-3-Clause
# Completions of nbdkit for bash.

# What may stand behind an option; fails if nothing may.
_nbdkit_option_values() {
    case $1 in
@option_values@
    *) return 1 ;;
    esac
}

# The keys of a plugin or filter.
_nbdkit_keys() {
    case $1 in
@keys@
    esac
}

# The values of a key: those that differ from one to the other are known, and those that are files.
_nbdkit_values() {
    case $1 in
@values@
    esac
}

# Offers those of the words that begin with $1. FILES, FILTERS and PLUGINS stand for many.
_nbdkit_offer() {
    local start=$1 word
    local -a words=()
    shift
    for word in "$@"; do
        case $word in
        FILES)
            compopt -o filenames 2>/dev/null
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$start")
            ;;
        FILTERS)
@filters@
            ;;
        PLUGINS)
@plugins@
            ;;
        *) words+=("$word") ;;
        esac
    done
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "${words[*]}" -- "$start")
    case ${COMPREPLY[*]} in
    *[=:]) compopt -o nospace 2>/dev/null ;;
    esac
}

_nbdkit() {
    local rest=${COMP_LINE:0:COMP_POINT} trimmed word
    local -a words=()
    COMPREPLY=()

    # The shell has broken words at '=': what no blank parts belongs together.
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        trimmed=${rest#"${rest%%[![:space:]]*}"}
        if ((${#words[@]})) && [[ $rest == "$trimmed" ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
        rest=${trimmed#"$word"}
    done
    local current=${words[-1]}

    # What stands there already: filters, the plugin, perhaps an option that waits for its value.
    local waiting='' plugin='' ended=''
    local -a layers=()
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ $waiting ]]; then
            [[ $waiting == --filter ]] && layers+=("filter:$word")
            waiting=''
            continue
        fi
        case $ended$word in
        --) ended=. ;;
        --filter=*) layers+=("filter:${word#*=}") ;;
        --*=*) ;;
        -*) _nbdkit_option_values "$word" >/dev/null && waiting=$word ;;
        *) [[ $plugin ]] || plugin=$word ;;
        esac
    done
    [[ $plugin ]] && layers+=("plugin:$plugin")

    # Only what is behind the '=' is replaced, unless '=' breaks no words here.
    local key=${current%%=*} value=${current#*=} layer values=''
    if [[ $waiting ]]; then
        _nbdkit_offer "$current" $(_nbdkit_option_values "$waiting")
        return
    fi
    case $ended$current in
    --*=*) values=$(_nbdkit_option_values "$key") ;;
    -*)
        _nbdkit_offer "$current" \
@options@

        return
        ;;
    *=*)
        for layer in "${layers[@]}"; do
            values+=" $(_nbdkit_values "$layer:$key")"
        done
        ;;
    *)
        [[ $plugin ]] || values=PLUGINS
        for layer in "${layers[@]}"; do
            [[ $plugin ]] && values+=" $(_nbdkit_keys "$layer")"
        done
        _nbdkit_offer "$current" $values
        return
        ;;
    esac
    _nbdkit_offer "$value" $values
    if [[ $COMP_WORDBREAKS != *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]/#/$key=}")
    fi
}

complete -o default -F _nbdkit nbdkit
