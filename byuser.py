import sys,collections,subprocess
comm=sys.argv[2]
out=subprocess.run(['perf','script','-i',sys.argv[1],'--comms',comm,'-F','comm,ip,sym'],capture_output=True,text=True,errors='replace').stdout
c=collections.Counter();inc=collections.Counter();n=0
for block in out.split('\n\n'):
    lines=[l.strip().split(' ',1)[-1] for l in block.strip().split('\n')[1:]]
    if not lines: continue
    n+=1
    if not any('entry_SYSCALL' in l or l.startswith('asm_') for l in lines):
        c[lines[0]]+=1
    for f in set(lines): inc[f]+=1
print(comm,n)
for k,v in c.most_common(int(sys.argv[3])): print(f'  {v:5d} {v/9*10/1000:.3f}ms  {k[:120]}')
print(' inclusive')
for k,v in inc.most_common(int(sys.argv[4])): print(f'  {v:5d} {v/9*10/1000:.3f}ms  {k[:140]}')
