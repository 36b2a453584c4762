# SPDX-License-Identifier: BSD-3-Clause
# What zsh offers: `zsh -f capture.zsh FOLDER LINE` types LINE and a tab into a shell that finds completions in
# FOLDER, and prints the matches, one a line.

zmodload zsh/zpty
zpty shell zsh -f -i

# Reads up to a mark, which stands in what is typed in two pieces, so that its echo is not taken for it.
answer() { zpty -r shell REPLY "*<$1>*" }

zpty -w shell "PROMPT= RPROMPT= ; unsetopt zle_bracketed_paste 2>/dev/null; fpath=($1 \$fpath); autoload -Uz compinit && compinit -u -D"
zpty -w shell 'bindkey "^I" complete-word; zstyle ":completion:*" insert-tab false'
zpty -w shell 'compadd() {
    local -a hits ignored suffix
    builtin compadd "$@"
    [[ ${@[1,(i)--]} == *-[OAD]\ * ]] && return
    builtin compadd -O hits "$@"
    zparseopts -E q=ignored S:=suffix
    (( $#hits )) && print -rl -- "<hit>"$^hits$suffix[2]
    return $(( ! $#hits ))
}'
zpty -w shell 'comppostfuncs=(finish); finish() { print -r "<do""ne>"; }; print "<rea""dy>"'
answer ready
zpty -w -n shell "$2"$'\t'
answer done
print -r -- "$REPLY" | tr -d '\r' | sed -n 's/.*<hit>//p' | sort -u
zpty -d shell
