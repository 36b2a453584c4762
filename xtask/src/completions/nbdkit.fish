# SPDX-License-Identifier: BSD-3-Clause
# Completions of nbdkit for fish.

# What stands there already, one a line: filter:NAME, plugin:NAME.
function __nbdkit_layers
    set -l waiting
    set -l plugin
    for word in (commandline -opc)[2..]
        if set -q waiting[1]
            test "$waiting" = --filter; and echo "filter:$word"
            set -e waiting[1]
            continue
        end
        switch $word
            case '--filter=*'
                echo "filter:"(string replace -- --filter= '' $word)
@options_with_values@
                set waiting $word
            case '-*'
            case '*'
                set -q plugin[1]; or echo "plugin:$word"
                set plugin $word
        end
    end
end

function __nbdkit_has_plugin
    __nbdkit_layers | string match -q 'plugin:*'
end

# Parameters come behind the plugin.
function __nbdkit_has
    __nbdkit_has_plugin; and contains -- $argv[1] (__nbdkit_layers)
end

complete -c nbdkit -f
@complete@
