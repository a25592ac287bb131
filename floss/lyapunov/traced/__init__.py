"""The tangent step of any map, recorded once as a graph of torch's operations, and replayed at every step.

In the order in which a chain goes through it:

    probe      does the first steps by differentiation, recorded, and says whether the others can be replayed
    recording  one step as the list of operations that it made, and the tensors that it read
    memory     what Python objects the map keeps: one that changes them from call to call is not replayed
    cleaning   the list as a graph, cleaned of what forward-mode differentiation leaves behind
    writes     what becomes of tensors that a part is written into
    products   few large products instead of one for each tangent vector; merged: of scaled rows, one
    stages     the graph cut into what is constant in a run, what inputs alone determine, and the rest
    compiled   both for the next run of a step that does the same; recall finds them again
    operations one operation of a graph done, in new memory or in memory that is there
    replay     a graph as calls that write into fixed memory
    plain      chains without a gradient
    pullback   the reverse of a step, recorded in the same way
    gradient   chains with a gradient; tape runs them and their reduced adjoint, sums adds up the gradients of weights
    emission   a replayed graph as C++, with loops over memory from loops
    native     what is built of that; native_chain and native_gradient run a chain of steps in one call

Whatever cannot be recorded, or does something else when it is compared, goes through `floss.lyapunov.iteration` as it
does without this package.
"""
